// json.js ORDER.json - Node's own JSON.parse and JSON.stringify. A round is
// "N" or "-N": N times to read, or to write. Speaks what ../peer.h says.
'use strict';
const text = require('fs').readFileSync(process.argv[2], 'utf8');
const value = JSON.parse(text);
let kept;

console.log(`Node ${process.version}, from and to a string in memory`);
require('readline').createInterface({input: process.stdin}).on('line', (line) => {
	const n = Math.abs(Number(line)), write = line[0] === '-';
	const begin = process.hrtime.bigint();
	if (write)
		for (let i = 0; i < n; i++)
			kept = JSON.stringify(value);
	else
		for (let i = 0; i < n; i++)
			kept = JSON.parse(text);
	console.log(Number(process.hrtime.bigint() - begin) / n / 1000);
}).on('close', () => process.exit(kept === undefined ? 1 : 0));
