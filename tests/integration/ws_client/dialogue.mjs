// Talks to a running server as the npm client `ws` does, which checks every frame that it receives:
// node dialogue.mjs PORT TOKEN. Prints the name of each check; ends with 1 at the first that fails.
import assert from 'node:assert/strict';
import WebSocket from 'ws';

const [port, token] = process.argv.slice(2);
const url = `ws://127.0.0.1:${port}/ws`;
const patience_ms = 10_000;

function login(device) {
  const bytes = Buffer.alloc(25 + token.length);
  bytes.writeUInt8(0x01, 0);
  bytes.writeUInt8(1, 1); // version
  bytes.writeUInt32LE(device, 2);
  bytes.writeUInt32LE(1, 6); // device_incarnation; the queue_position is 0
  bytes.writeUInt16LE(token.length, 18);
  bytes.write(token, 20, 'latin1'); // no positions, and the unread are not asked for
  return bytes;
}

/** A connection whose events are awaited in the order in which they came. */
class Peer {
  constructor(options = {}) {
    this.socket = new WebSocket(url, { handshakeTimeout: patience_ms, ...options });
    this.events = [];
    this.wake = () => {};
    const add = (event) => {
      this.events.push(event);
      this.wake();
    };
    this.socket.on('open', () => add({ kind: 'open' }));
    this.socket.on('message', (data, binary) => add({ kind: 'message', data, binary }));
    this.socket.on('ping', () => add({ kind: 'ping' }));
    this.socket.on('pong', (data) => add({ kind: 'pong', data }));
    this.socket.on('close', (code, reason) =>
      add({ kind: 'close', code, reason: reason.toString() }));
    this.socket.on('error', (error) => add({ kind: 'error', error }));
    this.socket.on('unexpected-response', (request, response) => {
      add({ kind: 'refused', status: response.statusCode });
      request.destroy();
    });
  }

  async next(kind) {
    const deadline = Date.now() + patience_ms;
    while (this.events.length === 0) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${kind} in time`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => { clearTimeout(timer); resolve(); };
      });
    }
    const event = this.events.shift();
    assert.equal(event.kind, kind, JSON.stringify(event) + String(event.error ?? ''));
    return event;
  }

  async message(type) {
    const { data, binary } = await this.next('message');
    assert.equal(binary, true, 'the server sends binary messages');
    assert.equal(data[0], type);
    return data;
  }

  static async opened(options) {
    const peer = new Peer(options);
    await peer.next('open');
    return peer;
  }

  static async online(device) {
    const peer = await Peer.opened();
    peer.socket.send(login(device));
    await peer.message(0x81);
    assert.equal((await peer.message(0x84))[1], 1, 'one page, the last');
    return peer;
  }
}

const checks = {
  async 'a login, whole'() {
    const peer = await Peer.online(1);
    peer.socket.close(1000, 'done');
    assert.equal((await peer.next('close')).code, 1000);
  },
  async 'a login in fragments, a ping between them'() {
    const peer = await Peer.opened();
    const bytes = login(1);
    peer.socket.send(bytes.subarray(0, 5), { fin: false, binary: true });
    peer.socket.ping('between');
    peer.socket.send(bytes.subarray(5, 6), { fin: false });
    peer.socket.send(bytes.subarray(6), { fin: true });
    assert.equal((await peer.next('pong')).data.toString(), 'between');
    await peer.message(0x81);
    peer.socket.terminate();
  },
  async 'no extension and no sub-protocol is agreed to'() {
    const peer = await Peer.opened({ perMessageDeflate: true });
    assert.equal(peer.socket.extensions, '');
    peer.socket.terminate();
    const other = new Peer();
    other.socket.terminate();
    const asking = new WebSocket(url, ['chat', 'superchat']);
    const error = await new Promise((resolve) => asking.on('error', resolve));
    assert.match(error.message, /no subprotocol/, 'ws insists on one that it asked for');
  },
  async 'pings of every length'() {
    const peer = await Peer.online(1);
    for (const size of [0, 1, 124, 125]) {
      peer.socket.ping(Buffer.alloc(size, 'p'));
      assert.equal((await peer.next('pong')).data.length, size);
    }
    peer.socket.pong('nobody asked');
    peer.socket.ping();
    await peer.next('pong');
    peer.socket.terminate();
  },
  async 'text is refused'() {
    const peer = await Peer.online(1);
    peer.socket.send('{"type": "login"}');
    assert.deepEqual(await peer.next('close'),
      { kind: 'close', code: 1003, reason: 'text_not_supported' });
  },
  async 'a message over the limit is refused'() {
    const peer = await Peer.online(1);
    peer.socket.send(Buffer.alloc(16 << 20));
    assert.deepEqual(await peer.next('close'),
      { kind: 'close', code: 1009, reason: 'message_too_big' });
  },
  async 'a message that is none of the protocol'() {
    const peer = await Peer.online(1);
    peer.socket.send(Buffer.from([0x7f]));
    await peer.message(0x86);
    assert.deepEqual(await peer.next('close'),
      { kind: 'close', code: 4400, reason: 'unknown_type' });
  },
  async 'the newer login of a device'() {
    const older = await Peer.online(1);
    const newer = await Peer.online(1);
    assert.equal((await older.next('close')).code, 4409);
    newer.socket.close();
    assert.equal((await newer.next('close')).code, 1005, 'no code is answered by none');
  },
  async 'close codes come back'() {
    for (const code of [1000, 1001, 1008, 1011, 3000, 4999]) {
      const peer = await Peer.opened();
      peer.socket.close(code, 'gr\u00fc\u00df');
      assert.equal((await peer.next('close')).code, code);
    }
  },
  async 'another path is no endpoint'() {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/elsewhere`);
    const error = await new Promise((resolve) => socket.on('error', resolve));
    assert.match(error.message, /404/);
  },
  async 'an older version of the protocol'() {
    const peer = new Peer({ protocolVersion: 8 });
    assert.equal((await peer.next('refused')).status, 426);
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
  } catch (error) {
    console.error(`failed: ${name}: ${error.stack}`);
    process.exit(1);
  }
  console.log(`ok: ${name}`);
}
process.exit(0);
