// recommendation-go answers GetRecommendations with the hotels that are nearest, have the highest rate or
// the lowest price.
package main

import (
	"context"
	"encoding/json"
	"log"
	"sort"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"muswarm/hotel"
	pb "muswarm/recommendation"
	"muswarm/serve"
)

type server struct{ hotels []hotel.Hotel }

// least gives the ids of all hotels of which of is the smallest.
func (s server) least(of func(h *hotel.Hotel) float64) []string {
	var ids []string
	best := 0.0
	for i := range s.hotels {
		value := of(&s.hotels[i])
		if len(ids) == 0 || value < best {
			best, ids = value, ids[:0]
		}
		if value == best {
			ids = append(ids, s.hotels[i].ID)
		}
	}
	return ids
}

func (s server) GetRecommendations(_ context.Context, in *pb.Request) (*pb.Result, error) {
	var ids []string
	switch in.Require {
	case "dis":
		ids = s.least(func(h *hotel.Hotel) float64 { return hotel.Distance(in.Lat, in.Lon, h.Lat, h.Lon) })
	case "rate":
		ids = s.least(func(h *hotel.Hotel) float64 { return -h.Rate })
	case "price":
		ids = s.least(func(h *hotel.Hotel) float64 { return h.Price })
	default:
		return nil, status.Errorf(codes.InvalidArgument, "want dis, rate or price, got %q", in.Require)
	}
	return &pb.Result{HotelIds: ids}, nil
}

func main() {
	store := hotel.Open()
	for _, h := range hotel.Data() {
		store.MustPut("recommendation", h.ID, h)
	}
	var hotels []hotel.Hotel
	err := store.All("recommendation", func(_ string, text []byte) error {
		var h hotel.Hotel
		err := json.Unmarshal(text, &h)
		hotels = append(hotels, h)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// A table has no order.
	sort.Slice(hotels, func(i, j int) bool { return hotels[i].ID < hotels[j].ID })
	serve.Run(func(s *grpc.Server) { pb.Register(s, server{hotels}) })
}
