// Customers visit: they write, read replies as they are written, come back, and send again.
//
// k6 run -e URL=http://127.0.0.1:8000 -e PROFILE=smoke visits.js; `make load` does it all.
import http from 'k6/http';
import { check } from 'k6';
import exec from 'k6/execution';

const JSON_TYPE = 'application/json';
const TEXT = 'Onde está o meu pedido 4711?';
const SECONDS = __ENV.SECONDS || '300';

const PROFILES = {
  // Does it work at all?
  smoke: { executor: 'constant-vus', vus: 2, duration: '3s' },
  // Opens every pool as far as it goes, so that what comes behind it finds nothing left to grow.
  warm_up: { executor: 'constant-vus', vus: 160, duration: '8s' },
  // A usual day.
  load: {
    executor: 'ramping-vus',
    stages: [
      { duration: '10s', target: 16 },
      { duration: '40s', target: 16 },
      { duration: '5s', target: 0 },
    ],
  },
  // Everybody at once, and then nobody.
  spike: {
    executor: 'ramping-vus',
    startVUs: 2,
    stages: [
      { duration: '8s', target: 2 },
      { duration: '2s', target: 96 },
      { duration: '15s', target: 96 },
      { duration: '2s', target: 2 },
      { duration: '8s', target: 2 },
    ],
  },
  // The same, for long: what leaks shows.
  soak: { executor: 'constant-vus', vus: 12, duration: `${SECONDS}s` },
  // More and more, until it is too much: the rate at which a threshold ends it is the result.
  breakpoint: {
    executor: 'ramping-arrival-rate',
    startRate: 5,
    timeUnit: '1s',
    preAllocatedVUs: 50,
    maxVUs: 400,
    stages: [{ duration: '120s', target: 300 }],
  },
};

// Seconds are generous: what they catch is a queue that grows, not a slow machine.
const PATIENCE = {
  smoke: 3000,
  warm_up: 30000,
  load: 2000,
  spike: 10000,
  soak: 2000,
  breakpoint: 1000,
};

const profile = __ENV.PROFILE || 'smoke';
const ends = profile === 'breakpoint' ? { abortOnFail: true, delayAbortEval: '5s' } : {};
const slow = { threshold: `p(95)<${PATIENCE[profile]}`, ...ends };

export const options = {
  scenarios: { [profile]: { ...PROFILES[profile], gracefulStop: '30s' } },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    'http_req_duration{name:message}': [slow],
    'http_req_duration{name:stream}': [slow],
    'http_req_duration{name:again}': [slow],
    'http_req_duration{name:read}': [slow],
  },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  systemTags: ['name', 'status'],
};

const url = (path) => `${__ENV.URL}${path}`;

function asking(name, headers = {}) {
  return { headers: { 'Content-Type': JSON_TYPE, ...headers }, tags: { name }, timeout: '60s' };
}

function key(what) {
  return `${profile}-${__ENV.RUN || '0'}-${exec.scenario.iterationInTest}-${what}`;
}

function write(conversation, what, name = 'message') {
  const body = { text: TEXT, channel: 'web', metadata: { order: '4711' } };
  if (conversation) body.conversation_id = conversation;
  const response = http.post(
    url('/v1/messages'),
    JSON.stringify(body),
    asking(name, { 'Idempotency-Key': key(what) }),
  );
  check(response, { 'a message has its reply': (r) => r.status === 200 && r.json('reply.text') });
  return response;
}

function again(first) {
  const response = write(null, 'first', 'again');
  check(response, {
    'the same key brings the same turn': (r) =>
      r.json('id') === first.json('id') && r.headers['Idempotent-Replayed'] === 'true',
  });
}

function pieces(response) {
  const said = [...response.body.matchAll(/event: turn\.delta\ndata: (.*)\n/g)];
  return said.map((found) => JSON.parse(found[1]).text).join('');
}

function reply(response) {
  const told = response.body.match(/event: turn\.completed\ndata: (.*)\n/);
  return told && JSON.parse(told[1]).reply.text;
}

function stream(conversation) {
  const response = http.post(
    url(`/v1/conversations/${conversation}/messages`),
    JSON.stringify({ text: TEXT }),
    asking('stream', { 'Idempotency-Key': key('stream'), Accept: 'text/event-stream' }),
  );
  check(response, {
    'the pieces of a stream are its reply': (r) => r.status === 200 && pieces(r) === reply(r),
  });
}

function later(conversation) {
  const response = http.post(
    url(`/v1/conversations/${conversation}/messages`),
    JSON.stringify({ text: TEXT }),
    asking('later', { 'Idempotency-Key': key('later'), Prefer: 'respond-async' }),
  );
  check(response, { 'a turn runs behind its answer': (r) => r.status === 202 });
  const events = http.get(url(`${response.headers.Location}/events`), asking('follow'));
  check(events, { 'a turn is followed to its end': (r) => r.status === 200 && reply(r) });
}

function read(conversation, turn, messages) {
  const rest = http.get(url(`/v1/turns/${turn}/events`), asking('read', { 'Last-Event-ID': '2' }));
  check(rest, { 'a stream goes on': (r) => r.status === 200 && reply(r) });
  const list = http.get(url(`/v1/conversations/${conversation}/messages`), asking('read'));
  check(list, {
    'no message is lost or doubled': (r) => r.status === 200 && r.json('data').length === messages,
  });
  const found = http.get(url(`/v1/conversations/${conversation}`), asking('read'));
  check(found, { 'it is counted right': (r) => r.json('message_count') === messages });
}

export default function visit() {
  const number = exec.scenario.iterationInTest;
  const first = write(null, 'first');
  if (first.status !== 200) return;
  const conversation = first.json('conversation_id');
  if (number % 3 === 0) again(first);
  stream(conversation);
  if (number % 4 === 0) later(conversation);
  read(conversation, first.json('id'), number % 4 === 0 ? 6 : 4);
  if (number % 5 === 0) {
    const closed = http.post(url(`/v1/conversations/${conversation}/close`), null, asking('close'));
    check(closed, { 'it is closed': (r) => r.status === 200 && r.json('status') === 'closed' });
  }
}
