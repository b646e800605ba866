// Who may talk to the server: TLS with client certificates, basic authentication for every path, and
// the headers that go with each answer. Asks for the rules anew at each connection and each request,
// so that a change needs neither a restart nor a timer. Where the rules come from is not its business.

import { constants } from 'node:crypto';
import { Server as HttpsServer, type ServerOptions } from 'node:https';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BasicAuth } from './basic_auth.ts';
import { type ClientRules, clientRefusal } from './client_certificates.ts';
import { RECEIVE_MS_MAX } from './limits.ts';

export interface AccessRules {
  /** Undefined: plain HTTP. Whether there is TLS must not change while the server listens. */
  readonly tls: (ClientRules & { readonly context: SecureContextOptions }) | undefined;
  /** By name; a route's own header of the same name wins. */
  readonly headers: Readonly<Record<string, string>>;
  /** By user name, the bcrypt hash of the password. Empty: nobody has to log in. */
  readonly users: ReadonlyMap<string, string>;
}

export class Access {
  readonly #rules: () => AccessRules;
  readonly #log: FastifyBaseLogger;
  readonly #auth = new BasicAuth();
  /** The rules that the server's TLS is set to. */
  #tls: AccessRules['tls'];

  /** `rules` is called often: it should return the same object until something has changed. */
  constructor(rules: () => AccessRules, log: FastifyBaseLogger) {
    this.#rules = rules;
    this.#log = log;
    this.#tls = rules().tls;
  }

  /** For node:https; undefined where plain HTTP is spoken. */
  httpsOptions(): ServerOptions | undefined {
    return (
      this.#tls && {
        ...contextOf(this.#tls),
        requestCert: this.#tls.clients.asked,
        // Judged in secureConnection below, which knows more kinds of rules than Node does.
        rejectUnauthorized: false,
        handshakeTimeout: RECEIVE_MS_MAX,
      }
    );
  }

  protect(app: FastifyInstance): void {
    app.addHook('onClose', async () => this.#auth.close());
    const server: unknown = app.server;
    if (server instanceof HttpsServer) this.#protectTls(server);
  }

  /** To every answer. */
  addHeaders(reply: FastifyReply): void {
    reply.headers(this.#rules().headers);
  }

  /** False when the request must not go on: then it has been answered. Ask it before any route. */
  async admits(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    const { users } = this.#rules();
    if (users.size === 0) return true;
    const { authorization } = request.headers;
    const verdict = await this.#auth.check(authorization, users, request.ip);
    if (verdict === 'granted') return true;
    this.#log.debug({ address: request.ip, verdict }, 'not let in');
    refuse(reply, verdict);
    return false;
  }

  #protectTls(server: HttpsServer): void {
    // Before Node's own listener, which takes what is set then for the connection's handshake.
    server.prependListener('connection', () => this.#refresh(server));
    // Before the HTTP server reads from the socket.
    server.prependListener('secureConnection', (socket: TLSSocket) => {
      const reason = this.#tls && clientRefusal(socket, this.#tls);
      if (reason === undefined) return;
      this.#log.debug({ address: socket.remoteAddress, reason }, 'not let in');
      socket.destroy();
    });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      // OpenSSL's own line is thread, code, library, function and then why.
      const why = /:SSL routines:[^:]*:([^:]+):/.exec(error.message)?.[1];
      const reason = why ?? error.code ?? error.message;
      this.#log.debug({ address: socket.remoteAddress, reason }, 'no TLS connection');
    });
  }

  #refresh(server: HttpsServer): void {
    const { tls } = this.#rules();
    if (tls === this.#tls || tls === undefined) return;
    this.#tls = tls;
    // A context of its own has keys of its own for session tickets: nobody resumes under old rules.
    server.setSecureContext(contextOf(tls));
    // Node reads this property at each connection; there is no method that sets it.
    (server as { requestCert?: boolean }).requestCert = tls.clients.asked;
  }
}

/** A client of TLS 1.2 could else have the costly part of the handshake again and again. */
function contextOf({ context }: NonNullable<AccessRules['tls']>): SecureContextOptions {
  return { ...context, secureOptions: constants.SSL_OP_NO_RENEGOTIATION };
}

function refuse(reply: FastifyReply, verdict: 'refused' | 'busy'): void {
  if (verdict === 'busy') {
    reply
      .code(429)
      .header('retry-after', '1')
      .send('Too many passwords are waiting to be checked. Try again.\n');
    return;
  }
  reply
    .code(401)
    .header('www-authenticate', 'Basic realm="rxscope", charset="UTF-8"')
    .send('A user name and a password are needed.\n');
}
