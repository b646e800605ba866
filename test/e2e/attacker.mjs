// What somebody on the network can send, for doors.test.ts: a process of its own, so that what it does is not
// taken for what the agent does. Its one argument says what, as JSON. It writes a line once it has opened all
// connections, or was hung up on before they were open, and goes on until it is killed.

import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

const {
  port,
  connections,
  /** One that is closed is opened anew. */
  again = false,
  tls = false,
  /** Sent at once, so many times over. */
  text = '',
  times = 1,
  /** A byte of it each so many milliseconds instead. */
  byteEachMs = 0,
  /** Whether it reads what it is answered. */
  read = false,
} = JSON.parse(process.argv[2] ?? '{}');

const bytes = Buffer.from(text.repeat(times));
/** Who does not read never learns that the agent has hung up: it comes again after so long. */
const UNREAD_MS = 1_000;
let tried = 0;

function attack() {
  let timer;
  let isNew = true;
  const count = () => {
    if (!isNew) return;
    isNew = false;
    tried += 1;
    if (tried === connections) process.stdout.write('connected\n');
  };
  const speak = () => {
    count();
    if (byteEachMs > 0) {
      let sent = 0;
      timer = setInterval(() => {
        socket.write(bytes.subarray(sent, sent + 1));
        sent = (sent + 1) % bytes.length;
      }, byteEachMs);
    } else {
      socket.write(bytes);
      if (!read && again) timer = setTimeout(() => socket.destroy(), UNREAD_MS);
    }
    if (read) socket.resume();
    else socket.pause();
  };
  const to = { port, host: '127.0.0.1', rejectUnauthorized: false };
  const socket = tls ? connectTls(to, speak) : connect(to, speak);
  socket.on('error', () => {});
  socket.on('close', () => {
    count();
    clearInterval(timer);
    // Not at once: it shares two CPUs with the agent.
    if (again) setTimeout(attack, 20);
  });
}

// A socket that is not read keeps no process.
setInterval(() => {}, 60_000);
for (let i = 0; i < connections; i++) attack();
