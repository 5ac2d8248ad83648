// auth-nodejs answers a token with the access policy of its bearer.

const { serve } = require("./serve.js");

const RESOURCE =
  "arn:aws:execute-api:{regionId}:{accountId}:{apiId}/{stage}/{httpVerb}/[{resource}/[{child-resources}]]";

function policyOf(principalId, effect) {
  return {
    principalId,
    policyDocument: {
      Version: "2012-10-17",
      Statement: [{ Action: "execute-api:Invoke", Effect: effect, Resource: RESOURCE }],
    },
    context: { booleanKey: true, numberKey: 123, stringKey: "stringval" },
  };
}

function answer(token) {
  switch (token) {
    case "allow":
      return JSON.stringify(policyOf("user", "Allow"));
    case "deny":
      return JSON.stringify(policyOf("user", "Deny"));
    case "unauthorized":
      return "Unauthorized";
    default:
      return "Error: Invalid token";
  }
}

serve("auth", "Greeter", { SayHello: ({ name }) => ({ message: answer(name) }) });
