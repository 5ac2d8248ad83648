// payment-nodejs checks a credit card and charges it: in truth it only makes up the number of the transaction.

const { randomUUID } = require("node:crypto");
const { serve } = require("./serve.js");

const ISSUERS = [
  ["visa", /^4\d{12}(\d{3})?$/],
  ["mastercard", /^(5[1-5]\d{4}|2[2-7]\d{4})\d{10}$/],
  ["amex", /^3[47]\d{13}$/],
  ["discover", /^6(011|5\d\d)\d{12}$/],
];

/** Luhn's check: every second digit from the right counts twice. */
function luhn(number) {
  let sum = 0;
  for (let i = 0; i < number.length; i++) {
    let digit = Number(number[number.length - 1 - i]);
    if (i % 2 === 1) digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
    sum += digit;
  }
  return sum % 10 === 0;
}

serve("hipstershop", "PaymentService", {
  Charge({ amount, credit_card: card }) {
    if (!card || !amount) throw new Error("needs an amount and a credit card");
    const number = card.credit_card_number.replace(/[ -]/g, "");
    const issuer = ISSUERS.find(([, pattern]) => pattern.test(number))?.[0];
    if (issuer === undefined || !luhn(number)) throw new Error("the credit card's number is not valid");
    if (issuer !== "visa" && issuer !== "mastercard") throw new Error(`${issuer} cards are not accepted`);
    const now = new Date();
    const month = now.getFullYear() * 12 + now.getMonth() + 1;
    if (card.credit_card_expiration_year * 12 + card.credit_card_expiration_month < month) {
      throw new Error(`the card ending in ${number.slice(-4)} has expired`);
    }
    return { transaction_id: randomUUID() };
  },
});
