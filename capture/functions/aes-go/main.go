// aes-go encrypts a message with AES-128 in counter mode.
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"

	"google.golang.org/grpc"

	pb "muswarm/aes"
	"muswarm/serve"
)

var key, _ = hex.DecodeString("6368616e676520746869732070617373")

const defaultMessage = "A unique message"

func encrypt(plain []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	counter := make([]byte, aes.BlockSize)
	counter[aes.BlockSize-1] = 1
	sealed := make([]byte, len(plain))
	cipher.NewCTR(block, counter).XORKeyStream(sealed, plain)
	return sealed, nil
}

type server struct{}

func (server) ShowEncryption(_ context.Context, in *pb.PlainTextMessage) (*pb.ReturnEncryptionInfo, error) {
	message := in.PlaintextMessage
	if message == "" {
		message = defaultMessage
	}
	sealed, err := encrypt([]byte(message))
	if err != nil {
		return nil, err
	}
	return &pb.ReturnEncryptionInfo{EncryptionInfo: fmt.Sprintf("aes-go | plaintext: %s | ciphertext: %x", message, sealed)}, nil
}

func main() {
	serve.Run(func(s *grpc.Server) { pb.Register(s, server{}) })
}
