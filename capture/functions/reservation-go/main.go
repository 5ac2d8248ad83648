// reservation-go checks whether hotels have rooms for a range of dates, and books them. Bookings are in the
// database; how many there are of a night, and how many rooms a hotel has, is in the cache too.
package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"muswarm/hotel"
	pb "muswarm/reservation"
	"muswarm/serve"
)

const day = "2006-01-02"

type night struct {
	Booked int `json:"booked"`
}

type booking struct {
	Customer string `json:"customer"`
	Hotel    string `json:"hotel"`
	In       string `json:"in"`
	Out      string `json:"out"`
	Rooms    int    `json:"rooms"`
}

type capacity struct {
	Rooms int `json:"rooms"`
}

type server struct{ store *hotel.Store }

// cached reads a number from the cache, else with read, and keeps it.
func (s server) cached(key string, read func() (int, error)) (int, error) {
	item, err := s.store.Cache.Get(key)
	if err == nil {
		return strconv.Atoi(string(item.Value))
	}
	if err != memcache.ErrCacheMiss {
		return 0, err
	}
	n, err := read()
	if err != nil {
		return 0, err
	}
	return n, s.keep(key, n)
}

func (s server) keep(key string, n int) error {
	return s.store.Cache.Set(&memcache.Item{Key: key, Value: []byte(strconv.Itoa(n))})
}

func (s server) capacity(id string) (int, error) {
	return s.cached(id+"_cap", func() (int, error) {
		var c capacity
		_, err := s.store.Get("number", id, &c)
		return c.Rooms, err
	})
}

func (s server) booked(key string) (int, error) {
	return s.cached(key, func() (int, error) {
		var n night
		_, err := s.store.Get("nights", key, &n)
		return n.Booked, err
	})
}

// nights gives the keys of the nights of a stay.
func nights(id, in, out string) ([]string, error) {
	from, err := time.Parse(day, in)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%q is no date", in)
	}
	to, err := time.Parse(day, out)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%q is no date", out)
	}
	var keys []string
	for ; from.Before(to); from = from.AddDate(0, 0, 1) {
		keys = append(keys, fmt.Sprintf("%s_%s_%s", id, from.Format(day), from.AddDate(0, 0, 1).Format(day)))
	}
	return keys, nil
}

// free tells whether a hotel has that many rooms in each night, and how many are booked.
func (s server) free(id string, keys []string, rooms int) (bool, []int, error) {
	has, err := s.capacity(id)
	if err != nil {
		return false, nil, err
	}
	counts := make([]int, len(keys))
	for i, key := range keys {
		if counts[i], err = s.booked(key); err != nil {
			return false, nil, err
		}
		if counts[i]+rooms > has {
			return false, nil, nil
		}
	}
	return true, counts, nil
}

func (s server) CheckAvailability(_ context.Context, in *pb.Request) (*pb.Result, error) {
	result := &pb.Result{}
	for _, id := range in.HotelId {
		keys, err := nights(id, in.InDate, in.OutDate)
		if err != nil {
			return nil, err
		}
		free, _, err := s.free(id, keys, int(in.RoomNumber))
		if err != nil {
			return nil, err
		}
		if free {
			result.HotelId = append(result.HotelId, id)
		}
	}
	return result, nil
}

func (s server) MakeReservation(_ context.Context, in *pb.Request) (*pb.Result, error) {
	if len(in.HotelId) == 0 {
		return nil, status.Error(codes.InvalidArgument, "no hotel")
	}
	id, rooms := in.HotelId[0], int(in.RoomNumber)
	keys, err := nights(id, in.InDate, in.OutDate)
	if err != nil {
		return nil, err
	}
	free, counts, err := s.free(id, keys, rooms)
	if err != nil || !free {
		return &pb.Result{}, err
	}
	for i, key := range keys {
		if err := s.keep(key, counts[i]+rooms); err != nil {
			return nil, err
		}
		if err := s.store.Put("nights", key, night{counts[i] + rooms}); err != nil {
			return nil, err
		}
	}
	made := booking{in.CustomerName, id, in.InDate, in.OutDate, rooms}
	name := fmt.Sprintf("%s_%s_%s_%d", in.CustomerName, id, in.InDate, counts)
	if err := s.store.Put("reservation", name, made); err != nil {
		return nil, err
	}
	return &pb.Result{HotelId: []string{id}}, nil
}

func main() {
	store := hotel.Open()
	for _, h := range hotel.Data() {
		// So many that the calls of a capture do not fill it.
		store.MustPut("number", h.ID, capacity{h.Rooms * 10000})
	}
	serve.Run(func(s *grpc.Server) { pb.Register(s, server{store}) })
}
