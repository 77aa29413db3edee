/**
 * Checked CEL trees as closures: what filters are made of, without the interpreter's exceptions, which cost 20–50 µs
 * each when a value is absent. Anything else is left to the interpreter; a test compares the two.
 *
 * An expression's value is a JavaScript value or a `Nothing`. CEL's int is a bigint, or a number where it comes from an
 * Avro int: both compare and are equal as they should, and arithmetic makes bigints of them.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import type { FilterableAlert } from './expression.ts';
import { HELPERS, type Helper } from './helpers.ts';

/** No value: it depends on a null (`reason` is null), or it cannot be computed. */
export class Nothing {
  readonly reason: string | null;

  constructor(reason: string | null) {
    this.reason = reason;
  }
}

export const ABSENT = new Nothing(null);

/** Where an expression is evaluated: the alert, and the rows that the loops around it are at. */
export type Scope = { readonly alert: FilterableAlert; readonly rows: unknown[] };
export type Evaluate = (scope: Scope) => unknown;

/** A node that is none of those compiled here. */
class Unsupported extends Error {}

/** Variables of loops around a node, outermost first. */
type Names = readonly string[];

/** The tree as a closure; null when the interpreter has to do it. */
export function compileTree(tree: ASTNode): Evaluate | null {
  try {
    return compile(tree, []);
  } catch (error) {
    if (error instanceof Unsupported) return null;
    throw error;
  }
}

function compile(node: ASTNode, names: Names): Evaluate {
  switch (node.op) {
    case 'value': {
      const value: unknown = node.args;
      return () => value;
    }
    case 'id':
      return variable(node.args, names);
    case '.':
      return fieldOf(node.args[0], node.args[1], names);
    case '&&':
      return logical(compile(node.args[0], names), compile(node.args[1], names), false);
    case '||':
      return logical(compile(node.args[0], names), compile(node.args[1], names), true);
    case '!_':
      return mapped(compile(node.args, names), (value) => value !== true);
    case '-_':
      return mapped(compile(node.args, names), typeOf(node) === 'int'
        ? (value) => -BigInt(value as number) : (value) => -(value as number));
    case '?:':
      return choice(node.args.map((part) => compile(part, names)));
    case 'in':
    case 'list':
      return collection(node, names);
    case 'call':
      return node.args[0] === 'has' ? hasField(node.args[1][0], names) : called(node.args[0], node.args[1], names);
    case 'rcall':
      return method(node.args[0], node.args[1], node.args[2], names);
    case '==': case '!=': case '<': case '<=': case '>': case '>=':
      return comparison(node.op, node.args[0], node.args[1], names);
    case '+': case '-': case '*': case '/': case '%':
      return arithmetic(node.op, node.args[0], node.args[1], names);
    default:
      throw new Unsupported(node.op);
  }
}

/** CEL's name of a node's kind, as the checker found it. */
function typeOf(node: ASTNode): string {
  return String((node as { checkedType?: unknown }).checkedType ?? 'dyn'); // Set by the checker on every node it visits.
}

function variable(name: string, names: Names): Evaluate {
  const loop = names.lastIndexOf(name);
  if (loop >= 0) return ({ rows }) => rows[loop];
  if (name === 'alert') return ({ alert }) => alert;
  const get = getterOf(name);
  return ({ alert }) => get(alert) ?? ABSENT;
}

function fieldOf(node: ASTNode, field: string, names: Names): Evaluate {
  const get = getterOf(field);
  const name = node.op === 'id' ? node.args : null;
  const slot = name === null ? -1 : names.lastIndexOf(name);
  if (slot >= 0) return ({ rows }) => get(rows[slot]) ?? ABSENT; // A row of the loop is always there.
  if (name !== null && name !== 'alert') {
    const getRecord = getterOf(name);
    return ({ alert }) => {
      const row = getRecord(alert);
      return row === null || row === undefined ? ABSENT : get(row) ?? ABSENT;
    };
  }
  const record = compile(node, names);
  return (scope) => {
    const row = record(scope);
    return row instanceof Nothing ? row : get(row) ?? ABSENT; // A record: the checker has seen to it.
  };
}

type Getter = (record: unknown) => unknown;

const getters = new Map<string, Getter>();

/**
 * A function for each name, so that each sees records of few shapes: one that all share takes ten times as long.
 *
 * The name is one of the schema's: the checker lets no other through, and what is no plain name is refused here.
 */
function getterOf(name: string): Getter {
  let getter = getters.get(name);
  if (getter === undefined) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new Unsupported(name);
    getter = new Function('record', `'use strict'; return record.${name};`) as Getter;
    getters.set(name, getter);
  }
  return getter;
}

function hasField(node: ASTNode, names: Names): Evaluate {
  if (node.op !== '.') throw new Unsupported('has');
  const record = compile(node.args[0], names), field = node.args[1];
  return (scope) => {
    const row = record(scope);
    if (row instanceof Nothing) return row;
    const value = (row as Readonly<Record<string, unknown>>)[field]; // A record, as above.
    return value !== null && value !== undefined;
  };
}

/** `decisive` on either side decides, whatever the other is; of two that have no value the right one tells why. */
function logical(left: Evaluate, right: Evaluate, decisive: boolean): Evaluate {
  return (scope) => {
    const a = left(scope);
    if (a === decisive) return decisive;
    const b = right(scope);
    if (b === decisive) return decisive;
    return b instanceof Nothing ? b : a instanceof Nothing ? a : !decisive;
  };
}

function choice([condition, ifTrue, ifFalse]: readonly Evaluate[]): Evaluate {
  return (scope) => {
    const value = condition(scope);
    return value instanceof Nothing ? value : value === true ? ifTrue(scope) : ifFalse(scope);
  };
}

function mapped(operand: Evaluate, apply: (value: unknown) => unknown): Evaluate {
  return (scope) => {
    const value = operand(scope);
    return value instanceof Nothing ? value : apply(value);
  };
}

function joined(left: Evaluate, right: Evaluate, apply: (a: never, b: never) => unknown): Evaluate {
  return (scope) => {
    const a = left(scope);
    if (a instanceof Nothing) return a;
    const b = right(scope);
    return b instanceof Nothing ? b : apply(a as never, b as never); // Of the kinds that `apply` was chosen for.
  };
}

const NUMBERS: ReadonlySet<string> = new Set(['int', 'double']);
const SCALARS: ReadonlySet<string> = new Set(['int', 'double', 'string', 'bool']);

function comparison(op: string, leftNode: ASTNode, rightNode: ASTNode, names: Names): Evaluate {
  const kinds = [typeOf(leftNode), typeOf(rightNode)];
  const isNumeric = kinds.every((kind) => NUMBERS.has(kind));
  if (!isNumeric && (kinds[0] !== kinds[1] || !SCALARS.has(kinds[0]))) throw new Unsupported(op);
  const left = compile(leftNode, names), right = compile(rightNode, names);
  if (rightNode.op === 'value' && typeof rightNode.args === 'number') return limited(op, left, rightNode.args);
  // Numbers and bigints are equal by ==, and compare exactly.
  return operator(op, left, right);
}

type Pair = (left: Evaluate, right: Evaluate, nothing: typeof Nothing) => Evaluate;
type Limited = (left: Evaluate, limit: number, nothing: typeof Nothing) => Evaluate;

const pairs = new Map<string, Pair>();
const limits = new Map<string, Limited>();

/** One of the operators above; each has its code, without a call for the operation itself. */
function operator(op: string, left: Evaluate, right: Evaluate): Evaluate {
  const made = pairs.get(op) ?? new Function('left', 'right', 'Nothing', `'use strict'; return (scope) => {
    const a = left(scope);
    if (typeof a === 'object' && a instanceof Nothing) return a;
    const b = right(scope);
    return typeof b === 'object' && b instanceof Nothing ? b : a ${op} b;
  };`) as Pair;
  pairs.set(op, made);
  return made(left, right, Nothing);
}

/** Most clauses of most filters: a number against a limit. */
function limited(op: string, left: Evaluate, limit: number): Evaluate {
  const made = limits.get(op) ?? new Function('left', 'limit', 'Nothing', `'use strict'; return (scope) => {
    const a = left(scope);
    return typeof a === 'object' && a instanceof Nothing ? a : a ${op} limit;
  };`) as Limited;
  limits.set(op, made);
  return made(left, limit, Nothing);
}

const INT_MAX = 2n ** 63n - 1n;

function arithmetic(op: string, leftNode: ASTNode, rightNode: ASTNode, names: Names): Evaluate {
  const kind = typeOf(leftNode);
  if (kind !== typeOf(rightNode)) throw new Unsupported(op);
  const left = compile(leftNode, names), right = compile(rightNode, names);
  if (kind === 'double') {
    if (op === '%') throw new Unsupported(op);
    return operator(op, left, right);
  }
  if (kind === 'string' && op === '+') return operator(op, left, right);
  if (kind !== 'int') throw new Unsupported(op);
  return joined(left, right, (a: number | bigint, b: number | bigint) => integer(op, BigInt(a), BigInt(b)));
}

function integer(op: string, a: bigint, b: bigint): bigint | Nothing {
  if (op === '/') return b === 0n ? new Nothing('division by zero') : a / b;
  if (op === '%') return b === 0n ? new Nothing('modulo by zero') : a % b;
  const value = op === '+' ? a + b : op === '-' ? a - b : a * b;
  return value <= INT_MAX && value >= -INT_MAX - 1n ? value : new Nothing(`integer overflow: ${value}`);
}

/** A list of scalars, and whether a value is in one. */
function collection(node: ASTNode, names: Names): Evaluate {
  if (node.op === 'list') {
    const elements = node.args.map((element) => compile(element, names));
    return (scope) => evaluateAll(elements, scope);
  }
  if (node.op !== 'in' || !SCALARS.has(typeOf(node.args[0])) || !typeOf(node.args[1]).startsWith('list<')) {
    throw new Unsupported(node.op);
  }
  return joined(compile(node.args[0], names), compile(node.args[1], names),
    (value: unknown, list: readonly unknown[]) => list.some((each) => each == value));
}

/** Values of arguments, or of the last one that has none. */
function evaluateAll(parts: readonly Evaluate[], scope: Scope): unknown[] | Nothing {
  const values: unknown[] = new Array(parts.length);
  for (let i = parts.length - 1; i >= 0; i--) {
    const value = parts[i](scope);
    if (value instanceof Nothing) return value;
    values[i] = value;
  }
  return values;
}

function called(name: string, args: readonly ASTNode[], names: Names): Evaluate {
  const kinds = args.map(typeOf);
  const isFor = ({ parameters }: Helper): boolean =>
    parameters.length === kinds.length && parameters.every((type, i) => type === kinds[i]);
  const helper = HELPERS.find((each) => each.name === name && isFor(each));
  const values = args.map((arg) => compile(arg, names));
  if (helper !== undefined) return helped(helper, values);
  const [kind] = kinds;
  if (name === 'size' && args.length === 1) return sizeOf(kind, values[0]);
  if (name === 'double' && kind === 'int') return mapped(values[0], (value) => Number(value));
  if (name === 'double' && kind === 'double') return values[0];
  if (name === 'int' && kind === 'double') return mapped(values[0], (value) => wholeOf(value as number));
  throw new Unsupported(name);
}

function helped({ call, parameters }: Helper, parts: readonly Evaluate[]): Evaluate {
  const toInt = parameters.map((type) => type === 'int');
  return (scope) => {
    const values = evaluateAll(parts, scope);
    if (values instanceof Nothing) return values;
    for (let i = 0; i < values.length; i++) if (toInt[i]) values[i] = BigInt(values[i] as number);
    return call(...(values as never[])) ?? ABSENT; // Of the kinds of its parameters.
  };
}

function wholeOf(value: number): bigint | Nothing {
  const whole = Number.isFinite(value) ? BigInt(Math.trunc(value)) : null;
  if (whole !== null && whole <= INT_MAX && whole >= -INT_MAX - 1n) return whole;
  return new Nothing('int() type error: integer overflow');
}

function sizeOf(kind: string, value: Evaluate): Evaluate {
  if (!kind.startsWith('list<')) throw new Unsupported('size');
  return mapped(value, (list) => BigInt((list as readonly unknown[]).length));
}

function method(name: string, receiver: ASTNode, args: readonly ASTNode[], names: Names): Evaluate {
  const kind = typeOf(receiver);
  const value = compile(receiver, names);
  if (kind === 'string' && args.length === 1 && typeOf(args[0]) === 'string') {
    const other = compile(args[0], names);
    if (name === 'startsWith') return joined(value, other, (a: string, b: string) => a.startsWith(b));
    if (name === 'endsWith') return joined(value, other, (a: string, b: string) => a.endsWith(b));
    if (name === 'contains') return joined(value, other, (a: string, b: string) => a.includes(b));
  }
  if (!kind.startsWith('list<')) throw new Unsupported(name);
  if (name === 'size' && args.length === 0) return sizeOf(kind, value);
  const [id, ...bodies] = args;
  if (id?.op !== 'id' || bodies.length === 0) throw new Unsupported(name);
  const inner = [...names, id.args];
  const [body, then] = bodies.map((each) => compile(each, inner));
  return loop(name, value, body, then, names.length);
}

/** `slot` is the place of the loop's row in the scope. */
function loop(name: string, list: Evaluate, body: Evaluate, then: Evaluate | undefined, slot: number): Evaluate {
  const over = (work: (rows: readonly unknown[], scope: Scope) => unknown): Evaluate => (scope) => {
    const rows = list(scope);
    return rows instanceof Nothing ? rows : work(rows as readonly unknown[], scope); // A list, by its kind.
  };
  switch (name) {
    case 'all': return over((rows, scope) => quantified(rows, scope, body, slot, false));
    case 'exists': return over((rows, scope) => quantified(rows, scope, body, slot, true));
    case 'exists_one': return over((rows, scope) => {
      const kept = filtered(rows, scope, body, undefined, slot);
      return kept instanceof Nothing ? kept : kept.length === 1;
    });
    case 'filter': return over((rows, scope) => filtered(rows, scope, body, undefined, slot));
    case 'map': return over((rows, scope) => (then === undefined
      ? filtered(rows, scope, null, body, slot) : filtered(rows, scope, body, then, slot)));
    default: throw new Unsupported(name);
  }
}

/** One row with `decisive` decides; else the first without a value; else the contrary. */
function quantified(
  rows: readonly unknown[], scope: Scope, body: Evaluate, slot: number, decisive: boolean,
): boolean | Nothing {
  let nothing: Nothing | null = null;
  for (const row of rows) {
    scope.rows[slot] = row;
    const value = body(scope);
    if (value instanceof Nothing) nothing ??= value;
    else if (value === decisive) return decisive;
  }
  return nothing ?? !decisive;
}

/** Rows for which `keep` is true, as `then` makes them; any without a value spoils all. */
function filtered(
  rows: readonly unknown[], scope: Scope, keep: Evaluate | null, then: Evaluate | undefined, slot: number,
): unknown[] | Nothing {
  const kept: unknown[] = [];
  for (const row of rows) {
    scope.rows[slot] = row;
    const isKept = keep === null ? true : keep(scope);
    if (isKept instanceof Nothing) return isKept;
    if (isKept !== true) continue;
    const value = then === undefined ? row : then(scope);
    if (value instanceof Nothing) return value;
    kept.push(value);
  }
  return kept;
}
