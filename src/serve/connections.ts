// Keeps what connections take within the bounds of limits.ts, whoever is at their other end: how many there
// are, how long they may be silent, what they may ask before they read, how long they may take to read.
// Where a bound is reached, whoever takes most has to go; nobody else notices. Judges no request.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import {
  RECEIVE_MS_MAX,
  REQUESTS_PER_CONNECTION_MAX,
  SEND_MS_MAX,
  UNSENT_BYTES_MAX,
} from './limits.ts';

export class Connections {
  readonly #max: number;
  /** In the order of their arrival, by the client's address and port. */
  readonly #open = new Map<string, Connection>();
  /** How many of them each address has. */
  readonly #counts = new Map<string, number>();
  #unsentBytes = 0;

  constructor(connectionsMax: number) {
    this.#max = connectionsMax;
  }

  /** Call it once the server has its own listeners: the bytes of a socket go to whoever listens last. */
  watch(server: Server, encrypted: boolean): void {
    server.on('connection', (socket) => {
      const connection = this.#opened(socket);
      if (connection !== undefined && !encrypted) this.#speaks(connection, socket);
    });
    server.on('secureConnection', (socket: Socket) => {
      const connection = this.#open.get(keyOf(socket));
      if (connection === undefined) socket.destroy();
      else this.#speaks(connection, socket);
    });
  }

  /** Whether a request may be looked at. When not, its connection is gone. */
  admits(request: IncomingMessage, response: ServerResponse): boolean {
    const connection = this.#open.get(keyOf(request.socket));
    if (connection === undefined || connection.asked.size >= REQUESTS_PER_CONNECTION_MAX) {
      if (connection !== undefined) this.#drop(connection);
      ignoreTheRest(request.socket);
      return false;
    }
    clearTimeout(connection.receiving);
    connection.receiving = undefined;
    const asked = { bytes: 0, answered: false };
    connection.asked.set(response, asked);
    response.once('close', () => this.#answered(connection, request, response));
    this.#charge(connection, asked, REQUEST_BYTES);
    if (this.#open.get(connection.key) === connection) return true;
    ignoreTheRest(request.socket);
    return false;
  }

  /** The answer is there, with so many bytes, and is on its way. */
  handedOver(response: ServerResponse, bytes: number): void {
    const { socket } = response.req;
    const connection = this.#open.get(keyOf(socket));
    const asked = connection?.asked.get(response);
    if (connection === undefined || asked === undefined) return;
    asked.answered = true;
    connection.sending ??= after(SEND_MS_MAX, () => this.#drop(connection));
    this.#charge(connection, asked, bytes);
  }

  /** Ends all, whatever they are at. */
  closeAll(): void {
    for (const connection of this.#open.values()) this.#drop(connection);
  }

  #opened(socket: Socket): Connection | undefined {
    if (socket.remoteAddress === undefined) {
      // It has gone already.
      socket.destroy();
      return undefined;
    }
    if (this.#open.size >= this.#max) this.#dropOne();
    const connection: Connection = {
      key: keyOf(socket),
      address: socket.remoteAddress,
      sockets: [socket],
      asked: new Map(),
      unsentBytes: 0,
      receiving: undefined,
      sending: undefined,
      hasAsked: false,
    };
    this.#open.set(connection.key, connection);
    this.#counts.set(connection.address, (this.#counts.get(connection.address) ?? 0) + 1);
    this.#expectRequest(connection);
    socket.once('close', () => this.#forget(connection));
    return connection;
  }

  /** `socket`: what HTTP is spoken on. */
  #speaks(connection: Connection, socket: Socket): void {
    if (!connection.sockets.includes(socket)) connection.sockets.push(socket);
    clearTimeout(connection.receiving);
    this.#expectRequest(connection);
    // Only who has been answered and sends again begins anew. A timer for each, and none for who is silent
    // after an answer: those are let be until the server's keep-alive ends.
    socket.on('data', () => {
      if (connection.asked.size === 0 && connection.receiving === undefined) {
        this.#expectRequest(connection);
      }
    });
  }

  #expectRequest(connection: Connection): void {
    connection.receiving = after(RECEIVE_MS_MAX, () => this.#drop(connection));
  }

  #answered(connection: Connection, request: IncomingMessage, response: ServerResponse): void {
    const asked = connection.asked.get(response);
    if (asked === undefined) return;
    connection.asked.delete(response);
    this.#charge(connection, asked, -asked.bytes);
    connection.hasAsked = true;
    clearTimeout(connection.sending);
    connection.sending = undefined;
    if ([...connection.asked.values()].some(({ answered }) => answered)) {
      connection.sending = after(SEND_MS_MAX, () => this.#drop(connection));
    }
    // The rest of a body that nobody reads is thrown away, but not for ever.
    if (request.complete || request.socket.destroyed || connection.receiving !== undefined) return;
    this.#expectRequest(connection);
    const { receiving } = connection;
    request.once('end', () => {
      if (connection.receiving !== receiving) return;
      clearTimeout(receiving);
      connection.receiving = undefined;
    });
  }

  #drop(connection: Connection): void {
    this.#forget(connection);
    // Not now: its parser may be at work, further up the stack.
    process.nextTick(() => {
      for (const socket of connection.sockets) socket.destroy();
    });
  }

  #forget(connection: Connection): void {
    clearTimeout(connection.receiving);
    clearTimeout(connection.sending);
    this.#unsentBytes -= connection.unsentBytes;
    connection.unsentBytes = 0;
    connection.asked.clear();
    if (this.#open.get(connection.key) !== connection) return;
    this.#open.delete(connection.key);
    const count = (this.#counts.get(connection.address) ?? 0) - 1;
    if (count > 0) this.#counts.set(connection.address, count);
    else this.#counts.delete(connection.address);
  }

  /**
   * Ends the connection that can best be done without: of the address that has most, one that has not asked
   * for anything before one that is idle before one that is at something, and of these the oldest.
   */
  #dropOne(): void {
    // A few connections make nobody greedy: then the silent ones go first, whosesoever they are.
    const greed = ({ address }: Connection): number =>
      Math.max(this.#counts.get(address) ?? 0, FEW);
    const use = ({ asked, hasAsked }: Connection): number =>
      asked.size > 0 ? 2 : hasAsked ? 1 : 0;
    let worst: Connection | undefined;
    for (const one of this.#open.values()) {
      if (worst === undefined) worst = one;
      const moreGreed = greed(one) - greed(worst);
      if (moreGreed > 0 || (moreGreed === 0 && use(one) < use(worst))) worst = one;
    }
    if (worst !== undefined) this.#drop(worst);
  }

  #charge(connection: Connection, asked: Asked, bytes: number): void {
    asked.bytes += bytes;
    connection.unsentBytes += bytes;
    this.#unsentBytes += bytes;
    // A large answer, where a configuration allows for it, must have room beside others of its size.
    const unsentMax = Math.max(UNSENT_BYTES_MAX, LARGE_ANSWERS * bytes);
    while (this.#unsentBytes > unsentMax) this.#dropMostUnsent();
  }

  /** Of the address to which most is unsent, the connection to which most is; of these the oldest. */
  #dropMostUnsent(): void {
    const byAddress = new Map<string, number>();
    for (const { address, unsentBytes } of this.#open.values()) {
      byAddress.set(address, (byAddress.get(address) ?? 0) + unsentBytes);
    }
    const most = Math.max(...byAddress.values());
    let worst: Connection | undefined;
    for (const one of this.#open.values()) {
      if (byAddress.get(one.address) !== most) continue;
      if (worst === undefined || one.unsentBytes > worst.unsentBytes) worst = one;
    }
    if (worst !== undefined) this.#drop(worst);
  }
}

interface Connection {
  readonly key: string;
  readonly address: string;
  /** Of TCP, and of TLS where that is spoken on it. */
  readonly sockets: Socket[];
  /** What is not answered to the last byte. */
  readonly asked: Map<ServerResponse, Asked>;
  /** What `asked` has in all. */
  unsentBytes: number;
  /** Runs while a request has to come. */
  receiving: NodeJS.Timeout | undefined;
  /** Runs while an answer is on its way. */
  sending: NodeJS.Timeout | undefined;
  /** It has been answered before. */
  hasAsked: boolean;
}

interface Asked {
  bytes: number;
  answered: boolean;
}

/** What a request costs before its answer: objects of Node's, Fastify's and ours. */
const REQUEST_BYTES = 16 * 1024;
/** So many answers that are larger than the rest of the bound allows may be on their way. */
const LARGE_ANSWERS = 16;
const FEW = 4;

/** The same for the socket of TCP and for that of TLS on top of it. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Unreferenced: it holds up no process that has nothing else to do. */
function after(ms: number, act: () => void): NodeJS.Timeout {
  return setTimeout(act, ms).unref();
}

/**
 * What came in one piece is parsed to its end, up to 3,600 requests, also once the connection is gone. There
 * is no public way to stop that; where this one is missing, it takes 10 MB and 20 ms more.
 */
function ignoreTheRest(socket: Socket): void {
  const { parser } = socket as { parser?: { onIncoming?: (() => number) | null } | null };
  if (parser?.onIncoming) parser.onIncoming = () => UPGRADED;
}

/** Tells Node's parser that what follows is no HTTP. */
const UPGRADED = 2;
