// user-go answers CheckUser: whether a password is the user's.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"

	"google.golang.org/grpc"

	"muswarm/hotel"
	"muswarm/serve"
	pb "muswarm/user"
)

const users = 501

type account struct {
	Password string `json:"password"`
}

func seal(password string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(password)))
}

type server struct{ passwords map[string]string }

func (s server) CheckUser(_ context.Context, in *pb.Request) (*pb.Result, error) {
	password, known := s.passwords[in.Username]
	return &pb.Result{Correct: known && password == seal(in.Password)}, nil
}

func main() {
	store := hotel.Open()
	for i := 0; i < users; i++ {
		store.MustPut("user", fmt.Sprintf("user_%d", i), account{seal(fmt.Sprintf("secret_%d", i))})
	}
	passwords := map[string]string{}
	err := store.All("user", func(name string, text []byte) error {
		var a account
		err := json.Unmarshal(text, &a)
		passwords[name] = a.Password
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	serve.Run(func(s *grpc.Server) { pb.Register(s, server{passwords}) })
}
