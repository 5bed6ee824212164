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
const expression = jsonata(
	fs.readFileSync(path.join(__dirname, 'order.jsonata'), 'utf8'));

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
