// profile-go answers GetProfiles with the profiles of hotels: from the cache, else from the database.
package main

import (
	"context"
	"encoding/json"

	"github.com/bradfitz/gomemcache/memcache"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"muswarm/hotel"
	pb "muswarm/profile"
	"muswarm/serve"
)

type server struct{ store *hotel.Store }

func (s server) GetProfiles(_ context.Context, in *pb.Request) (*pb.Result, error) {
	result := &pb.Result{}
	for _, id := range in.HotelIds {
		profile, err := s.profile(id)
		if err != nil {
			return nil, err
		}
		result.Hotels = append(result.Hotels, profile)
	}
	return result, nil
}

func (s server) profile(id string) (*pb.Hotel, error) {
	profile := &pb.Hotel{}
	item, err := s.store.Cache.Get("profile_" + id)
	if err == nil {
		return profile, json.Unmarshal(item.Value, profile)
	}
	if err != memcache.ErrCacheMiss {
		return nil, err
	}
	found, err := s.store.Get("profiles", id, profile)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, status.Errorf(codes.NotFound, "no hotel %q", id)
	}
	text, err := json.Marshal(profile)
	if err != nil {
		return nil, err
	}
	return profile, s.store.Cache.Set(&memcache.Item{Key: "profile_" + id, Value: text})
}

func main() {
	store := hotel.Open()
	for _, h := range hotel.Data() {
		store.MustPut("profiles", h.ID, &pb.Hotel{
			Id:          h.ID,
			Name:        h.Name,
			PhoneNumber: h.Phone,
			Description: h.Description,
			Address: &pb.Address{
				StreetNumber: h.Number,
				StreetName:   h.Street,
				City:         "San Francisco",
				State:        "CA",
				Country:      "United States",
				PostalCode:   h.PostalCode,
				Lat:          float32(h.Lat),
				Lon:          float32(h.Lon),
			},
			Images: []*pb.Image{{Url: "/images/hotels/" + h.ID + ".jpg", Default: true}},
		})
	}
	serve.Run(func(s *grpc.Server) { pb.Register(s, server{store}) })
}
