// node-red.js FOLDER PORT SECRET - Node-RED as a receiver of the shop's webhooks,
// with its defaults: the signature is verified over the raw body, the order is
// mapped by order.jsonata, and 200 is answered. Nothing is stored. It prints a
// line when it listens and ends with its stdin.
'use strict';
const fs = require('fs');
const http = require('http');
const path = require('path');
const [folder, port, secret] = process.argv.slice(2);
const modules = path.resolve(process.env.BENCH_MODULES || '.');
const load = (name) => require(path.join(modules, name));
const express = load('express');
const RED = load('node-red');
const mapping = fs.readFileSync(path.join(__dirname, 'order.jsonata'), 'utf8');

const verify = `
const crypto = global.get('crypto');
const want = crypto.createHmac('sha256', global.get('secret')).update(msg.payload).digest();
const got = Buffer.from(String(msg.req.headers['x-wc-webhook-signature'] || ''), 'base64');
if (got.length !== want.length || !crypto.timingSafeEqual(got, want)) {
	msg.statusCode = 401;
	return [null, msg];
}
msg.payload = JSON.parse(msg.payload.toString('utf8'));
return [msg, null];`;
const flows = [
	{id: 't', type: 'tab', label: 'orders'},
	{id: 'in', type: 'http in', z: 't', url: '/in/shop', method: 'post', upload: false,
		skipBodyParsing: true, wires: [['verify']]},
	{id: 'verify', type: 'function', z: 't', func: verify, outputs: 2, wires: [['map'], ['out']]},
	{id: 'map', type: 'change', z: 't',
		// the node's JSONata sees the whole message: the order is its payload
		rules: [{t: 'set', p: 'payload', pt: 'msg', tot: 'jsonata', to: `payload.(${mapping})`}],
		wires: [['out']]},
	{id: 'out', type: 'http response', z: 't', statusCode: '', headers: {}, wires: []}];
fs.writeFileSync(path.join(folder, 'flows.json'), JSON.stringify(flows));

const app = express();
const server = http.createServer(app);
RED.init(server, {
	userDir: folder, flowFile: 'flows.json', httpAdminRoot: false, httpNodeRoot: '/', disableEditor: true,
	credentialSecret: false, telemetry: {enabled: false, updateNotification: false},
	functionGlobalContext: {crypto: require('crypto'), secret},
	logging: {console: {level: 'off', metrics: false, audit: false}}});
app.use('/', RED.httpNode);
RED.start().then(() => {
	RED.events.once('flows:started', () => {
		server.listen(Number(port), '127.0.0.1', () => {
			const v = load('node-red/package.json').version;
			console.log(`Node-RED ${v} in Node ${process.version}: signature, JSONata, no storage`);
		});
	});
});
process.stdin.on('end', () => process.exit(0)).resume();
