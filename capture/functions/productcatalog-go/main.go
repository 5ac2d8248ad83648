// productcatalog-go lists the products of a shop, gives one, and searches them.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"log"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "muswarm/hipstershop"
	"muswarm/serve"
)

//go:embed products.json
var catalogue []byte

type server struct{ products []*pb.Product }

func (s server) ListProducts(context.Context, *pb.Empty) (*pb.ListProductsResponse, error) {
	return &pb.ListProductsResponse{Products: s.products}, nil
}

func (s server) GetProduct(_ context.Context, in *pb.GetProductRequest) (*pb.Product, error) {
	for _, product := range s.products {
		if product.Id == in.Id {
			return product, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "no product %q", in.Id)
}

func (s server) SearchProducts(_ context.Context, in *pb.SearchProductsRequest) (*pb.SearchProductsResponse, error) {
	query := strings.ToLower(in.Query)
	found := &pb.SearchProductsResponse{}
	for _, product := range s.products {
		if strings.Contains(strings.ToLower(product.Name), query) ||
			strings.Contains(strings.ToLower(product.Description), query) {
			found.Results = append(found.Results, product)
		}
	}
	return found, nil
}

func main() {
	var list pb.ListProductsResponse
	if err := json.Unmarshal(catalogue, &list); err != nil {
		log.Fatal(err)
	}
	serve.Run(func(s *grpc.Server) { pb.RegisterProductCatalogService(s, server{list.Products}) })
}
