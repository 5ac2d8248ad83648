// rate-go answers GetRates with the rate plans of hotels, the dearest first: from the cache, else from the
// database.
package main

import (
	"context"
	"encoding/json"
	"math"
	"sort"
	"strings"

	"github.com/bradfitz/gomemcache/memcache"
	"google.golang.org/grpc"

	"muswarm/hotel"
	pb "muswarm/rate"
	"muswarm/serve"
)

type server struct{ store *hotel.Store }

func (s server) GetRates(_ context.Context, in *pb.Request) (*pb.Result, error) {
	var plans []*pb.RatePlan
	for _, id := range in.HotelIds {
		of, err := s.plans(id)
		if err != nil {
			return nil, err
		}
		plans = append(plans, of...)
	}
	sort.Slice(plans, func(i, j int) bool { return plans[i].RoomType.TotalRate > plans[j].RoomType.TotalRate })
	return &pb.Result{RatePlans: plans}, nil
}

// plans reads the plans of one hotel; in the cache they are JSON, one a line.
func (s server) plans(id string) ([]*pb.RatePlan, error) {
	var plans []*pb.RatePlan
	item, err := s.store.Cache.Get("rate_" + id)
	if err == nil {
		for _, line := range strings.Split(string(item.Value), "\n") {
			if line == "" {
				continue
			}
			plan := &pb.RatePlan{}
			if err := json.Unmarshal([]byte(line), plan); err != nil {
				return nil, err
			}
			plans = append(plans, plan)
		}
		return plans, nil
	}
	if err != memcache.ErrCacheMiss {
		return nil, err
	}
	if _, err := s.store.Get("inventory", id, &plans); err != nil {
		return nil, err
	}
	var lines strings.Builder
	for _, plan := range plans {
		text, err := json.Marshal(plan)
		if err != nil {
			return nil, err
		}
		lines.Write(text)
		lines.WriteByte('\n')
	}
	return plans, s.store.Cache.Set(&memcache.Item{Key: "rate_" + id, Value: []byte(lines.String())})
}

func main() {
	store := hotel.Open()
	for _, h := range hotel.Data() {
		store.MustPut("inventory", h.ID, []*pb.RatePlan{
			plan(h.ID, "RACK", "KNG", "King sized bed", h.Rate),
			plan(h.ID, "SAVER", "QN", "Queen sized bed, not refunded", math.Round(h.Rate*85)/100),
		})
	}
	serve.Run(func(s *grpc.Server) { pb.Register(s, server{store}) })
}

func plan(id, code, room, description string, rate float64) *pb.RatePlan {
	return &pb.RatePlan{
		HotelId: id,
		Code:    code,
		InDate:  "2015-04-09",
		OutDate: "2015-04-10",
		RoomType: &pb.RoomType{
			BookableRate:       rate,
			TotalRate:          rate,
			TotalRateInclusive: math.Round(rate*112) / 100,
			Code:               room,
			Currency:           "USD",
			RoomDescription:    description,
		},
	}
}
