/**
 * The model endpoint of the local stack.
 *
 *   POST /endpoints/{name}/invocations   what InvokeEndpoint of the SageMaker runtime sends
 *   POST /invocations, GET /ping         what SageMaker sends to a model's container
 *   POST /load/{name}                    makes or changes an endpoint of the load mode
 *   GET /stats, GET /calls, GET /calls/{name}, POST /stats/reset   what a test asks afterwards
 */

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { Calls } from './calls.mjs';
import { Detector } from './detector.mjs';
import { LoadModel, parseSettings } from './load.mjs';
import { parseRequest } from './request.mjs';
import { UnknownEndpoint, containerReply, runtimeReply } from './sagemaker.mjs';

/** @typedef {import('./types.mjs').Model} Model */
/** @typedef {import('./sagemaker.mjs').Reply} Reply */
/** @typedef {import('node:http').IncomingMessage} Incoming */

const LOAD = /^\/load\/([A-Za-z0-9-]{1,63})$/;
const LOG = /^\/calls\/([A-Za-z0-9-]{1,63})$/;
const INVOKE = /^\/endpoints\/([A-Za-z0-9-]{1,63})\/invocations$/;
/** As much as InvokeEndpoint takes. */
const MOST_BYTES = 6 * 1024 * 1024;
/** How long calls in flight may take to be answered once the server has to end. */
const GRACE_MS = 10_000;

const options = readOptions();
const calls = new Calls();
/** @type {Map<string, LoadModel>} */
const loads = new Map();
/** @type {Map<string, Model>} by endpoint name; the first one answers `POST /invocations` */
const models = new Map();
await startModels();

const server = createServer(async (incoming, outgoing) => {
    const { status, headers, body } = await route(incoming);
    // Node keeps a connection open after its answer even while the server closes, and would wait for it.
    if (!server.listening) outgoing.shouldKeepAlive = false;
    outgoing.writeHead(status, { 'content-type': 'application/json', ...headers });
    outgoing.end(JSON.stringify(body));
});
// Longer than clients keep idle connections: who closes first must be the one who knows that nothing is under way.
server.keepAliveTimeout = 120_000;
server.listen(options.port, options.host, () => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    console.log(`Listening on http://${options.host}:${port} for ${[...models.keys()].join(', ')}`);
});

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, end);

/** Takes no more calls, answers those under way, and exits. Who asks twice, or has waited long enough, cuts them off. */
function end() {
    if (!server.listening) process.exit(1);
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(1), GRACE_MS);
}

/**
 * @param {Incoming} incoming
 * @returns {Promise<Reply>}
 */
async function route(incoming) {
    const [path, query] = (incoming.url ?? '/').split('?');
    const endpoint = INVOKE.exec(path)?.[1];
    if (incoming.method === 'POST' && endpoint !== undefined) {
        return invoke(endpoint, incoming).catch((error) => runtimeReply(error, endpoint));
    }
    const load = LOAD.exec(path)?.[1];
    if (incoming.method === 'POST' && load !== undefined) return setLoad(load, await textOf(incoming));
    const logged = LOG.exec(path)?.[1];
    if (incoming.method === 'GET' && logged !== undefined) return ok(calls.of(logged));
    switch (`${incoming.method} ${path}`) {
        case 'POST /invocations':
            if (!mayCall(incoming)) return { status: 401, headers: {}, body: { error: 'The token is missing or wrong.' } };
            return invoke([...models.keys()][0], incoming).catch(containerReply);
        case 'GET /ping':
            return ok({});
        case 'GET /stats':
            return ok(calls.stats());
        case 'POST /stats/reset':
            calls.reset();
            return ok(calls.stats());
        case 'GET /calls':
            return ok(calls.since(Number(new URLSearchParams(query).get('since')) || 0));
        default:
            return { status: 404, headers: {}, body: { message: 'Not found.' } };
    }
}

/**
 * SageMaker keeps strangers from a container; a server that stands alone has a token, if it is given one.
 *
 * @param {Incoming} incoming
 */
function mayCall(incoming) {
    return options.token === undefined || incoming.headers.authorization === `Bearer ${options.token}`;
}

/**
 * @param {string} endpoint
 * @param {Incoming} incoming
 * @returns {Promise<Reply>}
 */
async function invoke(endpoint, incoming) {
    const model = models.get(endpoint);
    if (model === undefined) throw new UnknownEndpoint(endpoint);
    const call = calls.begin(endpoint);
    try {
        const request = parseRequest(await textOf(incoming));
        calls.asset(call, request.asset_id);
        const answer = await model(request);
        calls.end(call, 200);
        const headers = { 'x-amzn-invoked-production-variant': 'AllTraffic' };
        return { status: 200, headers: answer.synthetic ? { ...headers, 'x-synthetic': 'true' } : headers, body: answer };
    } catch (error) {
        calls.end(call, containerReply(error).status);
        throw error;
    }
}

/**
 * @param {string} name
 * @param {string} text
 * @returns {Reply}
 */
function setLoad(name, text) {
    const settings = parseSettings(text);
    if (settings === undefined || (models.has(name) && !loads.has(name))) {
        return { status: 400, headers: {}, body: { message: 'No settings of the load mode, or a name of a detector.' } };
    }
    const load = loads.get(name) ?? startLoad(name, 0);
    load.change(settings);
    return ok(load.settings);
}

/**
 * @param {string} name
 * @param {number} latency
 */
function startLoad(name, latency) {
    const { slots, room, capacity, failEvery } = options;
    const load = new LoadModel({ latency, slots, room, capacity, failEvery });
    loads.set(name, load);
    models.set(name, load.answer);
    return load;
}

/** @param {Incoming} incoming */
async function textOf(incoming) {
    /** @type {Buffer[]} */
    const parts = [];
    let size = 0;
    for await (const part of incoming) {
        size += part.length;
        if (size <= MOST_BYTES) parts.push(part);
    }
    // Read to the end even so: a caller that is still sending would not see the answer.
    return size <= MOST_BYTES ? Buffer.concat(parts).toString('utf8') : '';
}

async function startModels() {
    const { workers, room, floor, latency } = options;
    if (options.model) {
        const detector = new Detector({ workers, room, floor });
        await detector.ready();
        models.set(options.yolo, detector.model('boxes'));
        models.set(options.sam3, detector.model('masks'));
    }
    if (latency !== undefined) startLoad('autolabel-load', latency);
}

function readOptions() {
    const { values } = parseArgs({
        options: {
            host: { type: 'string', default: '127.0.0.1' },
            port: { type: 'string', default: '4601' },
            yolo: { type: 'string', default: 'autolabel-yolo' },
            sam3: { type: 'string', default: 'autolabel-sam3' },
            workers: { type: 'string', default: '2' },
            room: { type: 'string', default: '1000' },
            floor: { type: 'string', default: '0.1' },
            latency: { type: 'string' },
            slots: { type: 'string', default: '16' },
            capacity: { type: 'string', default: '0' },
            'fail-every': { type: 'string', default: '0' },
            'no-model': { type: 'boolean', default: false },
            token: { type: 'string' },
        },
    });
    return {
        host: values.host,
        port: number(values.port),
        yolo: values.yolo,
        sam3: values.sam3,
        workers: number(values.workers),
        room: number(values.room),
        floor: number(values.floor),
        latency: values.latency === undefined ? undefined : number(values.latency),
        slots: number(values.slots),
        capacity: number(values.capacity),
        failEvery: number(values['fail-every']),
        model: !values['no-model'],
        token: values.token,
    };
}

/** @param {string} text */
function number(text) {
    const value = Number(text);
    if (text.trim() === '' || !(value >= 0)) throw new TypeError(`Not a number of 0 or more: ${text}`);
    return value;
}

/**
 * @param {unknown} body
 * @returns {Reply}
 */
function ok(body) {
    return { status: 200, headers: {}, body };
}
