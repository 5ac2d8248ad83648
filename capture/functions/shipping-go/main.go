// shipping-go quotes the price of sending an order, and sends it.
package main

import (
	"context"
	"fmt"
	"math/rand"

	"google.golang.org/grpc"

	pb "muswarm/hipstershop"
	"muswarm/serve"
)

const (
	dollars = 8
	cents   = 99
)

type server struct{}

func (server) GetQuote(_ context.Context, in *pb.GetQuoteRequest) (*pb.GetQuoteResponse, error) {
	count := int32(0)
	for _, item := range in.Items {
		count += item.Quantity
	}
	cost := &pb.Money{CurrencyCode: "USD"}
	if count > 0 {
		// One price for every order, whatever is in it.
		cost.Units, cost.Nanos = dollars, cents*10000000
	}
	return &pb.GetQuoteResponse{CostUsd: cost}, nil
}

func letter() byte { return byte('A' + rand.Intn(26)) }

func digits(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('0' + rand.Intn(10))
	}
	return string(text)
}

// trackingID is made of the address and chance.
func trackingID(address *pb.Address) string {
	text := fmt.Sprintf("%s, %s, %s", address.StreetAddress, address.City, address.State)
	return fmt.Sprintf("%c%c-%d%s-%d%s", letter(), letter(), len(text), digits(3), len(text)/2, digits(7))
}

func (server) ShipOrder(_ context.Context, in *pb.ShipOrderRequest) (*pb.ShipOrderResponse, error) {
	address := in.Address
	if address == nil {
		address = &pb.Address{}
	}
	return &pb.ShipOrderResponse{TrackingId: trackingID(address)}, nil
}

func main() {
	serve.Run(func(s *grpc.Server) { pb.RegisterShippingService(s, server{}) })
}
