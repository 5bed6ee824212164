// jsonata.js ORDER.json - the fields of ../order.map.yaml by JSONata in Node,
// object to object: neither JSON's reading nor its writing is counted. Speaks
// what ../peer.h says.
'use strict';
const fs = require('fs');
const path = require('path');
const modules = process.env.BENCH_MODULES || '.';
const jsonata = require(path.resolve(modules, 'jsonata'));
const version = require(path.resolve(modules, 'jsonata/package.json')).version;
const order = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const expression = jsonata(`(
  $code := function($c) { $c = "reduced-rate" ? "R" : "S" };
  {
    "number": number, "placed_at": date_created_gmt, "currency": currency,
    "source_status": status,
    "buyer": {"email": billing.email,
      "name": $trim(billing.first_name & " " & billing.last_name),
      "phone": billing.phone},
    "billing": {"street": billing.address_1, "postcode": billing.postcode,
      "city": billing.city, "country": billing.country},
    "delivery": {"street": shipping.address_1, "postcode": shipping.postcode,
      "city": shipping.city, "country": shipping.country},
    "lines": [line_items.{"id": $string(id), "sku": sku, "name": name,
      "quantity": quantity, "unit_net": $round($number(total) / quantity, 4),
      "net": total, "vat": total_tax, "vat_code": $code(tax_class)}],
    "shipping": [shipping_lines.{"name": method_title, "net": total,
      "vat": total_tax}],
    "vat_summary": [$each($append(line_items, shipping_lines){
      $code(tax_class): {"net": $sum(total.$number()),
        "vat": $sum(total_tax.$number())}},
      function($v, $k) { $merge([{"code": $k}, $v]) })],
    "totals": {"vat": total_tax, "gross": total},
    "payment": {"method": payment_method, "title": payment_method_title}
  })`);

(async () => {
	if (process.argv[3] === 'show') {
		console.log(JSON.stringify(await expression.evaluate(order)));
		return;
	}
	console.log(`JSONata ${version} in Node ${process.version}, one thread`);
	const lines = require('readline').createInterface({input: process.stdin});
	for await (const line of lines) {
		const n = Number(line);
		const begin = process.hrtime.bigint();
		for (let i = 0; i < n; i++)
			await expression.evaluate(order);
		console.log(Number(process.hrtime.bigint() - begin) / n / 1000);
	}
})();
