"""How the rules classifier weighs words, and how well it does with the shipped intents."""

import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa.adapters.rules.intent_catalog import load_intent_catalog
from prosa.adapters.rules.intent_classifier import RulesIntentClassifier
from prosa.domain.errors import ConfigurationError
from prosa.domain.intent import Intent, IntentCatalog, IntentDefinition
from prosa.domain.message import MAX_MESSAGE_CHARACTERS
from prosa.testing.intent_classifier_contract import classify

SHIPPED = RulesIntentClassifier(load_intent_catalog())

SENTENCES = [
    ("Oi, bom dia!", "greeting"),
    ("olá, tudo bem?", "greeting"),
    ("hello there", "greeting"),
    ("Onde está meu pedido 12345?", "order_status"),
    ("cadê minha encomenda??", "order_status"),
    ("Oi, boa tarde! Gostaria de saber quando meu pedido vai chegar", "order_status"),
    ("Qual o código de rastreio da minha compra?", "order_status"),
    ("Has my order shipped yet?", "order_status"),
    ("When will my package be delivered?", "order_status"),
    ("Meu pedido não chegou e o prazo já passou", "delivery_problem"),
    ("O site diz que foi entregue mas eu não recebi nada", "delivery_problem"),
    ("My order is late, it was supposed to arrive on Monday", "delivery_problem"),
    ("Veio faltando um item na caixa", "delivery_problem"),
    ("The tracking says delivered but I never received it", "delivery_problem"),
    ("A camiseta não serviu, quero trocar por um tamanho maior", "return_or_exchange"),
    ("O liquidificador chegou quebrado, como faço para devolver?", "return_or_exchange"),
    ("I'd like to return these shoes, they are too small", "return_or_exchange"),
    ("How do I exchange it for another size?", "return_or_exchange"),
    ("Quero meu dinheiro de volta", "refund"),
    ("Quando cai o estorno no cartão?", "refund"),
    ("I returned it two weeks ago, where is my refund?", "refund"),
    ("Devolvi o produto e ainda não recebi o reembolso", "refund"),
    ("Quero cancelar minha assinatura", "cancellation"),
    ("Bom dia, preciso cancelar o pedido que fiz ontem, por favor", "cancellation"),
    ("Please cancel my order", "cancellation"),
    ("Posso pagar com pix?", "payment"),
    ("Meu boleto venceu, como gero a segunda via?", "payment"),
    ("Fui cobrado duas vezes no cartão de crédito", "payment"),
    ("My card was declined", "payment"),
    ("Vocês parcelam em quantas vezes?", "payment"),
    ("Preciso da nota fiscal do pedido 998877", "invoice"),
    ("Could you send me the invoice for my last order?", "invoice"),
    ("Esqueci minha senha e não consigo entrar na conta", "account_access"),
    ("I can't log in, it says my account is locked", "account_access"),
    ("Esse fone é compatível com iPhone?", "product_question"),
    ("Tem esse vestido no tamanho M em estoque?", "product_question"),
    ("Is the blue one available in stock?", "product_question"),
    ("How much does the express plan cost?", "product_question"),
    ("Atendimento péssimo, vou reclamar no Procon", "complaint"),
    ("This is the worst service I have ever had, unacceptable", "complaint"),
    ("Quero falar com um atendente", "human_agent"),
    ("Can I talk to a real person please", "human_agent"),
    ("Muito obrigada, era só isso!", "goodbye"),
    ("Thanks, bye!", "goodbye"),
    ("asdf qwer", "other"),
    ("O céu é azul", "other"),
    ("boa noite, comprei uma geladeira dia 3 e até hoje nada", "delivery_problem"),
    ("vcs conseguem ver pra mim em que pé tá a entrega?", "order_status"),
    ("o entregador deixou a caixa no vizinho e ele nega", "delivery_problem"),
    ("n consigo logar no app de jeito nenhum", "account_access"),
    ("pedi 42 e mandaram 40, como resolvo?", "return_or_exchange"),
    ("o valor da fatura veio errado esse mês", "payment"),
    ("preciso que a nota saia no CNPJ da empresa", "invoice"),
    ("desisti da compra, tem como parar?", "cancellation"),
    ("me passa pra uma pessoa de verdade", "human_agent"),
    ("quanto tempo dura a bateria desse celular?", "product_question"),
    ("já faz um mês que devolvi e o dinheiro não caiu", "refund"),
    ("vocês são uma piada, ninguém responde", "complaint"),
    ("valeu, resolvido", "goodbye"),
    ("aceitam vale alimentação?", "payment"),
    ("the parcel has been sitting in transit for nine days", "delivery_problem"),
    ("what's the status of order 5521", "order_status"),
    ("i want my money back now", "refund"),
    ("can you resend the receipt", "invoice"),
    ("the zipper came broken", "return_or_exchange"),
    ("how do i stop my subscription", "cancellation"),
    ("do you take amex", "payment"),
    ("does this come in black?", "product_question"),
    ("your staff were rude to me", "complaint"),
    ("let me speak to a manager", "human_agent"),
    ("didn't get the reset email", "account_access"),
    ("hey", "greeting"),
    ("opa, tudo certo?", "greeting"),
    ("it's all sorted, thank you so much", "goodbye"),
    ("você gosta de futebol?", "other"),
    ("42", "other"),
    ("Bom dia, meu pacote tá parado em Curitiba faz 5 dias", "delivery_problem"),
    ("Cadê meu pedido? Comprei semana passada", "order_status"),
    ("Gostaria de saber o status da entrega", "order_status"),
    ("Vocês já enviaram minha compra?", "order_status"),
    ("Recebi só metade dos itens", "delivery_problem"),
    ("Os correios entregaram na casa errada", "delivery_problem"),
    ("A blusa ficou grande, dá pra trocar?", "return_or_exchange"),
    ("A TV veio com a tela trincada", "return_or_exchange"),
    ("Em quanto tempo vocês fazem o reembolso?", "refund"),
    ("cancela meu pedido por favor", "cancellation"),
    ("não quero mais a assinatura, como encerro?", "cancellation"),
    ("o pix não foi reconhecido", "payment"),
    ("consigo dividir em 10x sem juros?", "payment"),
    ("apareceu uma cobrança que não reconheço", "payment"),
    ("ainda não me mandaram a NF", "invoice"),
    ("preciso de um recibo pra reembolso da empresa", "invoice"),
    ("não lembro minha senha", "account_access"),
    ("quero mudar o e-mail do meu cadastro", "account_access"),
    ("esse tênis tem no 38?", "product_question"),
    ("qual a voltagem da airfryer?", "product_question"),
    ("tô muito decepcionada com vocês", "complaint"),
    ("quero registrar uma reclamação", "complaint"),
    ("tem algum humano aí?", "human_agent"),
    ("boa tarde!!", "greeting"),
    ("obrigado, tenha um bom dia", "goodbye"),
    ("qual a capital da França?", "other"),
    ("Where's my stuff? Ordered last Friday", "order_status"),
    ("Can I get a tracking link?", "order_status"),
    ("It's been three weeks and nothing showed up", "delivery_problem"),
    ("You sent me the wrong colour", "return_or_exchange"),
    ("The mug arrived in pieces", "return_or_exchange"),
    ("How long do refunds take?", "refund"),
    ("I want to cancel, I found it cheaper", "cancellation"),
    ("Why was I charged twice?", "payment"),
    ("Can I pay in installments?", "payment"),
    ("I need a VAT invoice for my company", "invoice"),
    ("My password reset link expired", "account_access"),
    ("Is this jacket waterproof?", "product_question"),
    ("Nobody answers my emails, this is ridiculous", "complaint"),
    ("Agent please", "human_agent"),
    ("Good evening", "greeting"),
    ("That's all, have a nice day", "goodbye"),
    ("Tell me a joke", "other"),
]
"""What customers write, and what they want."""


def knowing(**patterns: Sequence[str]) -> RulesIntentClassifier:
    """Make a classifier of intents with these patterns, in this order, and the fallback `other`."""
    definitions = [
        IntentDefinition(name=name, description=name, patterns=tuple(listed))
        for name, listed in ({**patterns, "other": ()}).items()
    ]
    return RulesIntentClassifier(IntentCatalog(definitions=tuple(definitions), fallback="other"))


async def intent_of(classifier: RulesIntentClassifier, text: str) -> Intent:
    return (await classify(classifier, text)).intent


async def test_most_sentences_have_their_intent() -> None:
    found = [(await intent_of(SHIPPED, text)).name for text, _ in SENTENCES]
    right = sum(name == wanted for name, (_, wanted) in zip(found, SENTENCES, strict=True))
    assert right / len(SENTENCES) >= 0.95


async def test_what_it_does_not_know_it_leaves_to_the_fallback() -> None:
    """A wrong name does more harm than none."""
    found = [((await intent_of(SHIPPED, text)).name, wanted) for text, wanted in SENTENCES]
    wrong = [pair for pair in found if pair[0] not in {pair[1], "other"}]
    assert len(wrong) / len(SENTENCES) <= 0.02


@pytest.mark.parametrize("change", [str.upper, str.lower, str.title])
async def test_case_does_not_count(change: Callable[[str], str]) -> None:
    text = "Cadê minha encomenda? Já devia ter chegado"
    assert await intent_of(SHIPPED, change(text)) == await intent_of(SHIPPED, text)


async def test_accents_do_not_count() -> None:
    with_accents = await intent_of(SHIPPED, "Não recebi o reembolso; a devolução já é antiga")
    assert (
        await intent_of(SHIPPED, "Nao recebi o reembolso; a devolucao ja e antiga") == with_accents
    )


async def test_a_courtesy_gives_way_to_what_is_asked_for() -> None:
    asked = await intent_of(SHIPPED, "Olá, bom dia, tudo bem? Quero cancelar. Obrigado, valeu!")
    assert asked.name == "cancellation"


async def test_words_match_whole() -> None:
    classifier = knowing(payment=["pix"])
    assert (await intent_of(classifier, "Aceita PIX?")).name == "payment"
    assert (await intent_of(classifier, "pixel")).name == "other"


async def test_a_stem_matches_what_begins_with_it() -> None:
    classifier = knowing(refund=["reembols*"])
    for text in ("reembolso", "Fui reembolsada?", "reembols"):
        assert (await intent_of(classifier, text)).name == "refund"
    assert (await intent_of(classifier, "reembalar")).name == "other"


async def test_a_gap_stands_for_up_to_three_words() -> None:
    classifier = knowing(order_status=["onde … pedido"])
    for text in ("onde pedido", "onde está o meu pedido", "onde, por favor, pedido"):
        assert (await intent_of(classifier, text)).name == "order_status"
    assert (await intent_of(classifier, "onde é que está o meu pedido")).name == "other"
    assert (await intent_of(classifier, "pedido onde")).name == "other"


async def test_a_gap_and_a_stem_go_together() -> None:
    classifier = knowing(order_status=["quando … entreg*"])
    assert (await intent_of(classifier, "Quando vocês vão entregar?")).name == "order_status"


async def test_punctuation_separates_words_and_nothing_else() -> None:
    classifier = knowing(refused=["don't want"])
    for text in ("I don't want it", "don\u2019t—want", "DON'T, want"):
        assert (await intent_of(classifier, text)).name == "refused"


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        ("pix", 1 / 2),
        ("pix pix pix", 1 / 2),
        ("pix e boleto", 2 / 3),
        ("quero pagar agora", 3 / 4),
        ("pix reembolso boleto", (2 / 3) * (2 / 3)),
        ("pix olá", (1 / 1.1) * (1 / 2)),
        ("olá", 1 / 2),
        ("nada", 0.0),
    ],
)
async def test_confidence_is_the_share_of_what_was_found_and_grows_with_it(
    text: str, confidence: float
) -> None:
    classifier = knowing(
        payment=["pix", "boleto", "quero pagar agora"], refund=["reembolso"], greeting=["~ola"]
    )
    assert (await intent_of(classifier, text)).confidence == pytest.approx(confidence, abs=0.0005)


async def test_of_equals_the_catalog_s_first_is_named() -> None:
    assert (await intent_of(knowing(a=["um"], b=["dois"]), "dois um")).name == "a"
    assert (await intent_of(knowing(b=["dois"], a=["um"]), "um dois")).name == "b"


async def test_patterns_that_begin_alike_are_all_found() -> None:
    classifier = knowing(a=["meu"], b=["meu pedido", "meu pedido sumiu"], c=["meu ped*"])
    found = await intent_of(classifier, "meu pedido sumiu")
    assert found.name == "b"
    assert found.confidence == pytest.approx((5 / 8) * (5 / 6), abs=0.0005)


async def test_a_pattern_listed_twice_counts_once() -> None:
    assert await intent_of(knowing(a=["um", "um"]), "um") == await intent_of(
        knowing(a=["um"]), "um"
    )


@pytest.mark.parametrize("pattern", ["", "~", "*", "…", "… pedido", "pedido …", "ab*", "!?"])
def test_a_malformed_pattern_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        knowing(order_status=[pattern])
    assert "order_status" in str(refused.value)
    assert repr(pattern) in str(refused.value)


@given(st.text(max_size=200))
async def test_any_text_has_an_intent_with_a_confidence_in_bounds(text: str) -> None:
    intent = await intent_of(SHIPPED, text)
    assert 0 <= intent.confidence <= 1


@pytest.mark.parametrize("part", ["onde ", "nao ", "a", "quando ", "talk to ", "é", "ou onde "])
async def test_the_work_grows_with_the_text_and_no_faster(part: str) -> None:
    async def seconds(characters: int) -> float:
        start = time.process_time()
        await intent_of(SHIPPED, (part * characters)[:characters])
        return time.process_time() - start

    short, long = MAX_MESSAGE_CHARACTERS // 8, MAX_MESSAGE_CHARACTERS
    ratios = [await seconds(long) / await seconds(short) for _ in range(5)]
    assert min(ratios) < GENEROUS_RATIO


GENEROUS_RATIO = 24
"""Linear work gives 8, quadratic 64; a busy machine may triple the one."""
