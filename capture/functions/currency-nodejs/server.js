// currency-nodejs lists currencies and converts amounts between them.

const rates = require("./rates.json");
const { serve } = require("./serve.js");

const NANOS = 1e9;

/** Units and billionths of an amount of which each may have a fraction. */
function carry(units, nanos) {
  const whole = Math.floor(units);
  const parts = nanos + (units - whole) * NANOS;
  return { units: whole + Math.floor(parts / NANOS), nanos: Math.floor(parts % NANOS) };
}

function rateOf(code) {
  const rate = rates[code];
  if (rate === undefined) throw new Error(`no currency "${code}"`);
  return rate;
}

serve("hipstershop", "CurrencyService", {
  GetSupportedCurrencies: () => ({ currency_codes: Object.keys(rates) }),
  Convert({ from, to_code }) {
    const rate = rateOf(from?.currency_code);
    const euros = carry(from.units / rate, from.nanos / rate);
    const to = rateOf(to_code);
    return { currency_code: to_code, ...carry(euros.units * to, euros.nanos * to) };
  },
});
