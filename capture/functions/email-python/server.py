"""email-python writes the confirmation of an order from a template; nothing is sent."""

import os

import grpc
from jinja2 import Environment, FileSystemLoader, TemplateError, select_autoescape

import hipstershop
from serve import run

environment = Environment(
    loader=FileSystemLoader(os.path.join(os.path.dirname(__file__), "templates")),
    autoescape=select_autoescape(["html"]),
)


def amount(money):
    return f"{money.units}.{money.nanos // 10_000_000:02d} {money.currency_code}"


environment.filters["amount"] = amount
template = environment.get_template("confirmation.html")


class Email(hipstershop.EmailServiceServicer):
    def SendOrderConfirmation(self, request, context):
        try:
            text = template.render(order=request.order, email=request.email)
        except TemplateError as error:
            context.abort(grpc.StatusCode.INTERNAL, f"cannot write the confirmation: {error}")
        if request.email not in text:
            context.abort(grpc.StatusCode.INTERNAL, "the confirmation names nobody")
        return hipstershop.Empty()


if __name__ == "__main__":
    run(lambda server: hipstershop.register_email_service(Email(), server))
