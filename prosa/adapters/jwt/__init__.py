"""JSON Web Tokens (RFC 7519) of Cognito or any other OIDC issuer, by PyJWT."""
