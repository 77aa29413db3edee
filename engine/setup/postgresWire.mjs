// Just enough of Postgres's wire protocol 3.0 to ask whether a database is there and to make it, without a driver.
import { connect } from 'node:net';

const PROTOCOL_3_0 = 196608;
const DATABASE_ABSENT = '3D000';
const DATABASE_EXISTS = '42P04';

/** `'ready'`, `'absent'` (server up, database not there) or `'starting'`. Throws on any other refusal. */
export async function tryDatabase(socketPath, user, database) {
  const answer = await converse(socketPath, user, database, null);
  if (answer.isReady) return 'ready';
  if (answer.code === DATABASE_ABSENT) return 'absent';
  // 57P03 is "starting up" or "shutting down"; a closed or missing socket says as much.
  if (answer.code === null || answer.code === '57P03') return 'starting';
  throw new Error(`postgres refuses database ${database}: ${answer.message}`);
}

/** Make a database; harmless when it exists. Names are ours, so nothing needs quoting. */
export async function createDatabase(socketPath, user, database) {
  const answer = await converse(socketPath, user, 'postgres', `CREATE DATABASE ${database}`);
  if (!answer.isReady && answer.code !== DATABASE_EXISTS) {
    throw new Error(`postgres cannot make database ${database}: ${answer.message}`);
  }
}

/** Open a session, run at most one statement, close. Resolves with the first error, else with `isReady`. */
function converse(socketPath, user, database, statement) {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath }, () => socket.write(startupMessage(user, database)));
    const finish = (answer) => { socket.destroy(); resolve(answer); };
    const noAnswer = { isReady: false, code: null, message: 'no answer' };
    let received = Buffer.alloc(0);
    let statementPending = statement !== null;
    socket.setTimeout(30_000, () => finish(noAnswer));
    socket.once('error', () => finish(noAnswer));
    socket.once('close', () => finish(noAnswer));
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      while (received.length >= 5 && received.length >= 1 + received.readInt32BE(1)) {
        const end = 1 + received.readInt32BE(1);
        const type = String.fromCharCode(received[0]);
        const body = received.subarray(5, end);
        received = received.subarray(end);
        if (type === 'E') return finish({ isReady: false, ...errorFields(body) });
        if (type !== 'Z') continue;
        if (!statementPending) return finish({ isReady: true, code: null, message: '' });
        statementPending = false;
        socket.write(message('Q', `${statement}\0`));
      }
    });
  });
}

function startupMessage(user, database) {
  const text = Buffer.from(`user\0${user}\0database\0${database}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + text.length, 0);
  head.writeInt32BE(PROTOCOL_3_0, 4);
  return Buffer.concat([head, text]);
}

function message(type, text) {
  const body = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** SQLSTATE and text of an ErrorResponse: fields of one type byte and a zero-ended string. */
function errorFields(body) {
  const fields = body.toString('utf8').split('\0');
  const valueOf = (type) => fields.find((field) => field.startsWith(type))?.slice(1) ?? null;
  return { code: valueOf('C'), message: valueOf('M') ?? 'unknown error' };
}
