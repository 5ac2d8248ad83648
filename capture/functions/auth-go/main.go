// auth-go answers a token with the access policy of its bearer.
package main

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc"

	pb "muswarm/auth"
	"muswarm/serve"
)

const resource = "arn:aws:execute-api:{regionId}:{accountId}:{apiId}/{stage}/{httpVerb}/[{resource}/[{child-resources}]]"

type statement struct {
	Action   string
	Effect   string
	Resource string
}

type document struct {
	Version   string
	Statement []statement
}

type policy struct {
	PrincipalID    string                 `json:"principalId"`
	PolicyDocument document               `json:"policyDocument"`
	Context        map[string]interface{} `json:"context"`
}

func policyOf(principal, effect string) policy {
	return policy{
		PrincipalID: principal,
		PolicyDocument: document{
			Version:   "2012-10-17",
			Statement: []statement{{Action: "execute-api:Invoke", Effect: effect, Resource: resource}},
		},
		Context: map[string]interface{}{"stringKey": "stringval", "numberKey": 123, "booleanKey": true},
	}
}

type server struct{}

func (server) SayHello(_ context.Context, in *pb.HelloRequest) (*pb.HelloReply, error) {
	var effect string
	switch in.Name {
	case "allow":
		effect = "Allow"
	case "deny":
		effect = "Deny"
	case "unauthorized":
		return &pb.HelloReply{Message: "Unauthorized"}, nil
	default:
		return &pb.HelloReply{Message: "Error: Invalid token"}, nil
	}
	text, err := json.Marshal(policyOf("user", effect))
	if err != nil {
		return nil, err
	}
	return &pb.HelloReply{Message: string(text)}, nil
}

func main() {
	serve.Run(func(s *grpc.Server) { pb.Register(s, server{}) })
}
