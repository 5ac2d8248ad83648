"""recommendation-python recommends up to five products that are not among those given, drawn from the catalogue."""

import os
import random

import grpc

import hipstershop
from serve import run

MOST = 5


class Recommendation(hipstershop.RecommendationServiceServicer):
    def __init__(self, catalogue):
        self.catalogue = catalogue

    def ListRecommendations(self, request, context):
        listed = self.catalogue.ListProducts(hipstershop.Empty())
        others = sorted({product.id for product in listed.products} - set(request.product_ids))
        chosen = random.sample(others, min(MOST, len(others)))
        return hipstershop.ListRecommendationsResponse(product_ids=chosen)


if __name__ == "__main__":
    channel = grpc.insecure_channel(os.environ["CATALOG"])
    service = Recommendation(hipstershop.ProductCatalogServiceStub(channel))
    run(lambda server: hipstershop.register_recommendation_service(service, server))
