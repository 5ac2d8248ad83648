// geo-go answers Nearby with the five nearest hotels within ten kilometres.
package main

import (
	"context"
	"encoding/json"
	"log"
	"math"
	"sort"

	"google.golang.org/grpc"

	pb "muswarm/geo"
	"muswarm/hotel"
	"muswarm/serve"
)

const (
	maxResults = 5
	radiusKm   = 10
	// Side of a cell of the index, in degrees: some five kilometres of latitude.
	cellDegrees = 0.05
)

type point struct {
	ID  string
	Lat float64
	Lon float64
}

type cell struct{ y, x int }

// index keeps the points by cell, so that a look-up reads the cells around a place only.
type index map[cell][]point

func cellOf(lat, lon float64) cell {
	return cell{int(math.Floor(lat / cellDegrees)), int(math.Floor(lon / cellDegrees))}
}

func (x index) add(p point) {
	c := cellOf(p.Lat, p.Lon)
	x[c] = append(x[c], p)
}

// near gives the ids of at most n points within km of a place, the nearest first.
func (x index) near(lat, lon, km float64, n int) []string {
	type found struct {
		id string
		km float64
	}
	var all []found
	degrees := km / 111
	from := cellOf(lat-degrees, lon-degrees/math.Cos(lat*math.Pi/180))
	to := cellOf(lat+degrees, lon+degrees/math.Cos(lat*math.Pi/180))
	for cy := from.y; cy <= to.y; cy++ {
		for cx := from.x; cx <= to.x; cx++ {
			for _, p := range x[cell{cy, cx}] {
				if d := hotel.Distance(lat, lon, p.Lat, p.Lon); d <= km {
					all = append(all, found{p.ID, d})
				}
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].km < all[j].km })
	if len(all) > n {
		all = all[:n]
	}
	ids := make([]string, len(all))
	for i, f := range all {
		ids[i] = f.id
	}
	return ids
}

type server struct{ points index }

func (s server) Nearby(_ context.Context, in *pb.Request) (*pb.Result, error) {
	return &pb.Result{HotelIds: s.points.near(float64(in.Lat), float64(in.Lon), radiusKm, maxResults)}, nil
}

func main() {
	store := hotel.Open()
	for _, h := range hotel.Data() {
		store.MustPut("geo", h.ID, point{h.ID, h.Lat, h.Lon})
	}
	points := index{}
	err := store.All("geo", func(_ string, text []byte) error {
		var p point
		if err := json.Unmarshal(text, &p); err != nil {
			return err
		}
		points.add(p)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	serve.Run(func(s *grpc.Server) { pb.Register(s, server{points}) })
}
