import {
  Environment,
  EvaluationError,
  ParseError,
  TypeError as CelTypeError,
  type ASTNode,
} from '@marcbachmann/cel-js';
import { ALERT_SCHEMA_VERSION, recordFields } from '../../schemas/alertSchema.ts';
import type { AlertRecordName, FieldKind, SchemaField } from '../../schemas/alertSchema.ts';
import type { Alert } from '../../schemas/diaRows.ts';
import type { Neighbour } from '../../schemas/neighbours.ts';
import { subjectToken } from '../../schemas/subjects.ts';
import { brokersConfig } from '../config.ts';
import { ABSENT, compileTree, Nothing, type Evaluate } from './evaluator.ts';
import { functionHints, HELPERS, registerHelpers } from './helpers.ts';
import { compileRegion, type RegionTest, type SkyRegion } from './region.ts';

/**
 * Filters are CEL expressions over the packet's fields, under the names of the alert schema: `diaSource.snr > 10.0`.
 *
 * **Null.** A field that is null in the packet is absent for CEL. `has(diaSource.band)` asks whether it is there
 * (for whole records: `has(alert.ssSource)`). Anything computed from an absent value has no value, and CEL's rules
 * for `&&` and `||` apply: `x && false` is false and `x || true` is true whatever x is. A filter whose whole value
 * depends on something absent does **not** match, as in SQL's WHERE: neither `diaSource.band == "g"` nor
 * `!(diaSource.band == "g")` matches an alert without a band. That is counted as `undecided`, not as an error.
 *
 * **Numbers.** Avro int and long are CEL int, float and double are CEL double. They compare with each other
 * (`diaSource.snr > 10`), but arithmetic needs one kind: `diaSource.snr + 1.0`.
 *
 * **Cost.** Expressions are bounded in size, loops over light curves in nesting, and what could grow without limit
 * (regular expressions, bound names, joined lists) is refused when the filter is compiled.
 */
export type FilterDefinition = Readonly<{
  /** Owner and name are parts of a subject: letters, digits, "-" and "_". */
  user: string;
  name: string;
  /** A whole number ≥ 1 that grows with every change of the expression. */
  version: number;
  expression: string;
  /**
   * When given, the filter shares its user's 20 alerts a visit with the user's other such filters, best first by this
   * expression, a number: the higher the better. Without it every match is delivered: for filters of operators.
   */
  rank?: string;
  /** Only alerts whose diaSource lies in it are evaluated; the others do not match. */
  region?: SkyRegion;
}>;

/** What a filter says of one alert; `reason` is the line that explains a failure. */
export type Verdict =
  Readonly<{ outcome: 'matched' | 'notMatched' | 'undecided' }> | Readonly<{ outcome: 'failed'; reason: string }>;

/** What filters can read of an alert: all of the packet but the cutouts, and its neighbours. */
export type FilterableAlert = Omit<Alert, 'cutoutDifference' | 'cutoutScience' | 'cutoutTemplate'> & Readonly<{
  /** What stands beside the packet (`schemas/neighbours.ts`); absent or null where it is not known. */
  nearestStars?: readonly Neighbour[] | null; nearestGalaxies?: readonly Neighbour[] | null;
}>;

export type CompiledFilter = Readonly<{
  definition: FilterDefinition;
  /** `user.name@version`. */
  label: string;
  /** Names of the fields and columns that it can touch, and some more. */
  reads: ReadonlySet<string>;
  evaluate(alert: FilterableAlert): Verdict;
  /** The value of `rank` for an alert; null when it depends on a null, is no finite number, or there is no `rank`. */
  rankOf(alert: FilterableAlert): number | null;
}>;

/** An expression that has passed all checks. */
export type CompiledExpression = Readonly<{
  /** CEL's name of the kind of its values: `bool`, `double`, … */
  type: string;
  tree: ASTNode;
  /** Names of the fields and columns that it can touch, and some more. */
  reads: ReadonlySet<string>;
  /** Its value for an alert, a `Nothing` when it has none. CEL's int may come as a number. Never throws. */
  evaluate(alert: FilterableAlert): unknown;
  /** The same for people: what it is, or why it has no value. */
  valueOf(alert: FilterableAlert): ExpressionValue;
}>;

export type ExpressionValue =
  Readonly<{ value: unknown }> | Readonly<{ absent: true }> | Readonly<{ failure: string }>;

/** An expression that cannot be used: one line that names the filter, the column and the reason. */
export class FilterCompileError extends Error {
  /** 1-based column of the expression, or null when the fault is not in one place. */
  readonly column: number | null;

  constructor(label: string, column: number | null, problem: string) {
    super(`filter ${label}: ${column === null ? '' : `column ${column}: `}${problem}`);
    this.name = 'FilterCompileError';
    this.column = column;
  }
}

type Row = Readonly<Record<string, unknown>>;
type RowClass = new () => Record<string, unknown>;
type RecordName = AlertRecordName | 'neighbour'; // Which is beside the packet.
type FieldOf = Readonly<{ field: string; record: RecordName; isList: boolean }>;

const RECORD_FIELDS: readonly FieldOf[] = [
  { field: 'diaSource', record: 'diaSource', isList: false },
  { field: 'prvDiaSources', record: 'diaSource', isList: true },
  { field: 'prvDiaForcedSources', record: 'diaForcedSource', isList: true },
  { field: 'diaObject', record: 'diaObject', isList: false },
  { field: 'ssSource', record: 'ssSource', isList: false },
  { field: 'mpc_orbits', record: 'mpc_orbits', isList: false },
  { field: 'nearestStars', record: 'neighbour', isList: true },
  { field: 'nearestGalaxies', record: 'neighbour', isList: true },
];
/** Methods that evaluate their argument for every row of a list. */
export const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
const UNBOUNDED: ReadonlyMap<string, string> = new Map([
  ['matches', 'regular expressions are not available: their cost has no bound'],
  ['bind', 'cel.bind is not available: write the value where it is used'],
  ['join', 'join is not available in a filter'],
]);

const NEIGHBOUR_FIELDS: readonly Pick<SchemaField, 'name' | 'kind'>[] = [
  { name: 'objectId', kind: 'long' },
  ...['distanceArcsec', 'positionAngleDeg', 'rMag', 'radiusArcsec'].map((name) => ({ name, kind: 'double' as const })),
];

const rowClasses = new Map<RecordName, RowClass>();
const alertClass = class Alert {} as unknown as RowClass; // An empty class that is filled by name.
const environment = alertEnvironment();

/** @throws FilterCompileError. Nothing that passes here can stop the service that runs it. */
export function compileFilter(definition: FilterDefinition): CompiledFilter {
  const label = filterLabel(definition);
  const expression = compileExpression(label, definition.expression);
  if (expression.type !== 'bool')
    throw new FilterCompileError(label, null, `the expression is a ${expression.type}, not a bool`);
  const rank = definition.rank === undefined ? null : compileExpression(`${label} rank`, definition.rank);
  if (rank !== null && !['int', 'double'].includes(rank.type))
    throw new FilterCompileError(label, null, `the rank is a ${rank.type}, not a number`);
  const isInRegion = regionOf(label, definition.region);
  const ofRegion = isInRegion === null ? [] : ['diaSource', 'ra', 'dec'];
  return {
    definition,
    label,
    reads: new Set([...expression.reads, ...(rank?.reads ?? []), ...ofRegion]),
    evaluate(alert) {
      if (isInRegion !== null && !isInRegion(alert.diaSource.ra, alert.diaSource.dec)) return NOT_MATCHED;
      const value = expression.evaluate(alert);
      if (value === true) return MATCHED;
      if (!(value instanceof Nothing)) return NOT_MATCHED;
      return value.reason === null ? UNDECIDED : { outcome: 'failed', reason: value.reason };
    },
    rankOf(alert) {
      const value = rank?.evaluate(alert);
      const number = typeof value === 'bigint' ? Number(value) : value;
      return typeof number === 'number' && Number.isFinite(number) ? number : null;
    },
  };
}

/**
 * Compiles an expression of any kind: a filter's, its rank, or a part of one.
 *
 * @param label Begins the messages of errors.
 * @throws FilterCompileError.
 */
export function compileExpression(label: string, expression: string): CompiledExpression {
  if (expression.length > brokersConfig.filterExpressionLengthMax) {
    throw new FilterCompileError(label, null, `${expression.length} characters are too many`);
  }
  const parsed = named(label, expression, () => environment.parse(expression));
  const reads = namesRead(parsed.ast);
  refuseUnbounded(label, parsed.ast);
  const checked = parsed.check();
  if (!checked.valid) throw compileError(label, expression, checked.error);
  const type = checked.type ?? 'dyn';
  const compiled = compileTree(parsed.ast);
  const evaluate = compiled === null ? interpreted(parsed, projection(reads)) : evaluated(compiled);
  return {
    type,
    tree: parsed.ast,
    reads,
    evaluate,
    valueOf(alert) {
      const value = evaluate(alert);
      if (value instanceof Nothing) return value.reason === null ? { absent: true } : { failure: value.reason };
      return { value: type === 'int' ? BigInt(value as number) : value };
    },
  };
}

/** Values as they are, `Nothing` for none: no record is made for each. */
function evaluated(compiled: Evaluate): CompiledExpression['evaluate'] {
  const scope = { alert: null as unknown as FilterableAlert, rows: [] }; // Set before each evaluation.
  return (alert) => {
    scope.alert = alert;
    try {
      return compiled(scope);
    } catch (error) {
      return new Nothing(oneLine(error)); // A record of the packet that cannot be decoded.
    }
  };
}

/** For what `compileTree` leaves: slower, and 50 µs when a value is absent. */
function interpreted(
  parsed: (context: Row) => unknown, project: (alert: FilterableAlert) => Row,
): CompiledExpression['evaluate'] {
  return (alert) => {
    try {
      return parsed(project(alert));
    } catch (error) {
      return error instanceof EvaluationError && VALUE_ABSENT.has(error.code) ? ABSENT : new Nothing(oneLine(error));
    }
  };
}

function regionOf(label: string, region: SkyRegion | undefined): RegionTest | null {
  if (region === undefined) return null;
  try {
    return compileRegion(region);
  } catch (error) {
    throw new FilterCompileError(label, null, (error as Error).message);
  }
}

const MATCHED: Verdict = { outcome: 'matched' };
const NOT_MATCHED: Verdict = { outcome: 'notMatched' };
const UNDECIDED: Verdict = { outcome: 'undecided' };
/** Fields and variables were checked when compiling, so that at run time these say that the value is null. */
const VALUE_ABSENT: ReadonlySet<string> = new Set(['no_such_key', 'unknown_variable', 'no_value']);

function filterLabel({ user, name, version }: FilterDefinition): string {
  const label = `${subjectToken(user)}.${subjectToken(name)}@${version}`;
  // Names that begin so are records of the filter service itself, on subjects beside those of the filters.
  if (name.startsWith('_')) throw new FilterCompileError(label, null, 'a name cannot begin with "_"');
  if (!Number.isInteger(version) || version < 1)
    throw new FilterCompileError(label, null, 'the version is not a whole number ≥ 1');
  return label;
}

function alertEnvironment(): Environment {
  const { filterNodesMax, filterDepthMax } = brokersConfig;
  const made = new Environment({ limits: { maxAstNodes: filterNodesMax, maxDepth: filterDepthMax } });
  for (const record of new Set(RECORD_FIELDS.map((each) => each.record))) {
    const ctor = class {} as unknown as RowClass; // An empty class that is filled by name.
    rowClasses.set(record, ctor);
    const fields = fieldsOf(record).map(({ name, kind }) => [name, celType(kind)] as const);
    made.registerType(record, { ctor, fields: Object.fromEntries(fields) });
  }
  const plain = recordFields('alert', ALERT_SCHEMA_VERSION)
    .filter(({ kind }) => kind !== 'record' && kind !== 'array' && kind !== 'bytes')
    .map(({ name, kind }) => [name, celType(kind)] as const);
  const records = RECORD_FIELDS.map(
    ({ field, record, isList }) => [field, isList ? `list<${record}>` : record] as const,
  );
  made.registerType('alert', { ctor: alertClass, fields: Object.fromEntries([...plain, ...records]) });
  for (const [name, type] of [...plain, ...records]) made.registerVariable(name, type);
  made.registerVariable('alert', 'alert');
  registerHelpers(made);
  return made;
}

function fieldsOf(record: RecordName): readonly Pick<SchemaField, 'name' | 'kind'>[] {
  return record === 'neighbour' ? NEIGHBOUR_FIELDS : recordFields(record, ALERT_SCHEMA_VERSION);
}

function celType(kind: FieldKind): string {
  switch (kind) {
    case 'int':
    case 'long':
    case 'timestampMicros':
      return 'int';
    case 'float':
    case 'double':
      return 'double';
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
    default:
      throw new Error(`a filter cannot read a field of kind ${kind}`);
  }
}

/** Turns an alert into what the expression reads: only the columns that it names, nulls left out, ints as bigint. */
function projection(reads: ReadonlySet<string>): (alert: FilterableAlert) => Row {
  const plain = recordFields('alert', ALERT_SCHEMA_VERSION)
    .filter(({ name, kind }) => reads.has(name) && kind !== 'record' && kind !== 'array')
    .map(({ name }) => name);
  const records = RECORD_FIELDS.filter(({ field }) => reads.has(field)).map(({ field, record, isList }) => {
    const toRow = rowProjection(record, reads);
    return {
      field,
      toValue: isList ? (rows: unknown) => (rows as readonly Row[]).map(toRow) : (row: unknown) => toRow(row as Row),
    };
  });
  return (alert) => {
    const values = alert as unknown as Row; // Alert has no index signature, but its keys are the schema's names.
    const variables = new alertClass();
    for (const name of plain) if (values[name] !== null) variables[name] = values[name];
    for (const { field, toValue } of records) {
      const value = values[field] ?? null;
      if (value !== null) variables[field] = toValue(value);
    }
    return { ...variables, alert: variables };
  };
}

function rowProjection(record: RecordName, reads: ReadonlySet<string>): (row: Row) => Row {
  const ctor = rowClasses.get(record);
  if (ctor === undefined) throw new Error(`filters do not know the record ${record}`);
  const columns = fieldsOf(record).filter(({ name }) => reads.has(name));
  return (row) => {
    const out = new ctor();
    for (const { name, kind } of columns) {
      const value = row[name];
      if (value !== null) out[name] = kind === 'int' ? BigInt(value as number) : value; // An Avro int is a number.
    }
    return out;
  };
}

/** Every variable and field name in the tree; a superset of the columns that evaluation can touch. */
function namesRead(tree: ASTNode): ReadonlySet<string> {
  const names = new Set<string>();
  walk(tree, (node) => {
    if (node.op === 'id') names.add(node.args);
    if (node.op === '.') names.add(node.args[1]);
    if (node.op !== 'call') return;
    for (const { name, reads } of HELPERS) if (name === node.args[0]) for (const column of reads) names.add(column);
  });
  return names;
}

function refuseUnbounded(label: string, tree: ASTNode): void {
  walk(tree, (node, loopDepth) => {
    if (node.op !== 'rcall') return;
    const [method, receiver] = node.args;
    const refusal = UNBOUNDED.get(method);
    if (refusal !== undefined) throw new FilterCompileError(label, node.start + 1, refusal);
    if (!LOOPS.has(method)) return;
    if (loopDepth > brokersConfig.filterLoopDepthMax) {
      const problem = `loops nest deeper than ${brokersConfig.filterLoopDepthMax}`;
      throw new FilterCompileError(label, node.start + 1, problem);
    }
    walk(receiver, (inner) => {
      if (inner.op === '+')
        throw new FilterCompileError(label, inner.start + 1, 'a loop over joined lists is not available');
    });
  });
}

/** Visits every node; `loopDepth` counts the loops around it, itself included. */
function walk(node: ASTNode, visit: (node: ASTNode, loopDepth: number) => void, outerDepth = 0): void {
  const isLoop = node.op === 'rcall' && LOOPS.has(node.args[0]);
  const loopDepth = outerDepth + (isLoop ? 1 : 0);
  visit(node, loopDepth);
  const visitArgs = (args: unknown): void => {
    if (Array.isArray(args)) args.forEach(visitArgs);
    else if (typeof args === 'object' && args !== null && 'op' in args) walk(args as ASTNode, visit, loopDepth);
  };
  visitArgs(node.args);
}

function named<T>(label: string, expression: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw compileError(label, expression, error);
  }
}

function compileError(label: string, expression: string, error: unknown): FilterCompileError {
  if (!(error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError)) {
    return new FilterCompileError(label, null, oneLine(error));
  }
  const { range } = error;
  const text = range === undefined ? '' : expression.slice(range.start, range.end).trim();
  const where = text === '' || error.summary.includes(text) ? '' : ` in "${text}"`;
  return new FilterCompileError(
    label,
    range === undefined ? null : range.start + 1,
    `${oneLine({ message: error.summary })}${where}${hintFor(error.code, error.summary)}`,
  );
}

function hintFor(code: string, summary: string): string {
  if (summary.includes('null')) return '; ask with has(record.field) whether a value is there';
  if (code === 'no_such_key' || code === 'unknown_variable') return '; fields are named as in alert schema 11.0';
  if (/(double [-+*/] int|int [-+*/] double)/.test(summary)) return '; write whole numbers as 1.0 beside a double';
  return code === 'no_matching_overload' ? functionHints : '';
}

function oneLine(error: unknown): string {
  const message =
    error instanceof EvaluationError ? error.summary : ((error as { message?: unknown } | null)?.message ?? error);
  return String(message).split('\n', 1)[0].slice(0, 200);
}
