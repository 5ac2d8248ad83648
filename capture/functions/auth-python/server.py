"""auth-python answers a token with the access policy of its bearer."""

import json

import auth
from serve import run

RESOURCE = (
    "arn:aws:execute-api:{regionId}:{accountId}:{apiId}/{stage}/{httpVerb}"
    "/[{resource}/[{child-resources}]]"
)


def policy_of(principal, effect):
    return {
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Action": "execute-api:Invoke", "Effect": effect, "Resource": RESOURCE}
            ],
        },
        "context": {"booleanKey": True, "numberKey": 123, "stringKey": "stringval"},
    }


def answer(token):
    if token in ("allow", "deny"):
        policy = policy_of("user", token.capitalize())
        return json.dumps(policy, separators=(",", ":"))
    return "Unauthorized" if token == "unauthorized" else "Error: Invalid token"


class Greeter(auth.GreeterServicer):
    def SayHello(self, request, context):
        return auth.HelloReply(message=answer(request.name))


if __name__ == "__main__":
    run(lambda server: auth.register(Greeter(), server))
