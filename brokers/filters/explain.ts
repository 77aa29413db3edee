/** Says of one alert what every clause of a filter makes of it. */
import { serialize, type ASTNode } from '@marcbachmann/cel-js';
import { compileExpression, compileFilter, LOOPS } from './expression.ts';
import type { ExpressionValue, FilterableAlert, FilterDefinition, Verdict } from './expression.ts';

/** What a clause came to; `undecided` when it depends on a null, `failed` when it could not be computed. */
export type Truth = 'true' | 'false' | 'undecided' | 'failed';

/** A value that a clause read or computed: a field (`diaSource.snr`) or a call (`abMag(diaSource.psfFlux)`). */
export type ClauseValue = Readonly<{
  name: string;
  /** Null when the packet has none. A list or a record is told by its size. 64-bit integers are bigint. */
  value: string | number | bigint | boolean | null;
}>;

/** A clause: its text, its truth, and either the clauses that it joins or the values that it read. */
export type Clause = Readonly<{
  text: string;
  /** How it comes from `clauses`: all of them (&&), any (||), not the one, one of two by a third (?:); else a test. */
  kind: 'all' | 'any' | 'not' | 'choice' | 'test';
  truth: Truth;
  /** Why it failed. */
  reason: string | null;
  values: readonly ClauseValue[];
  clauses: readonly Clause[];
}>;

export type Explanation = Readonly<{
  filter: string;
  expression: string;
  outcome: Verdict['outcome'];
  /** Of a filter with a rank: its value for this alert, null when that depends on a null. */
  rank: Readonly<{ expression: string; value: number | null; values: readonly ClauseValue[] }> | null;
  clause: Clause;
}>;

/**
 * Every clause is evaluated by itself, those that the filter would not come to as well: the answer names all that
 * keeps an alert out, not the first thing only.
 *
 * @throws FilterCompileError when the filter cannot be compiled.
 */
export function explainFilter(definition: FilterDefinition, alert: FilterableAlert): Explanation {
  const filter = compileFilter(definition);
  const explained = new Explainer(filter.label, alert);
  const { rank } = definition;
  return {
    filter: filter.label,
    expression: definition.expression,
    outcome: filter.evaluate(alert).outcome,
    rank:
      rank === undefined
        ? null
        : {
            expression: rank,
            value: filter.rankOf(alert),
            values: explained.valuesOf(compileExpression(filter.label, rank).tree),
          },
    clause: explained.clauseOf(compileExpression(filter.label, definition.expression).tree),
  };
}

class Explainer {
  readonly #label: string;
  readonly #alert: FilterableAlert;

  constructor(label: string, alert: FilterableAlert) {
    this.#label = label;
    this.#alert = alert;
  }

  clauseOf(node: ASTNode): Clause {
    const text = serialize(node);
    const result = this.#evaluate(node);
    const parts = joinedBy(node);
    return {
      text,
      kind: parts === null ? 'test' : parts.kind,
      truth: truthOf(result),
      reason: 'failure' in result ? result.failure : null,
      values: parts === null ? this.valuesOf(node) : [],
      clauses: parts === null ? [] : parts.nodes.map((part) => this.clauseOf(part)),
    };
  }

  /** The fields and calls of a test, each once. Bodies of loops have no value of their own: their list has. */
  valuesOf(node: ASTNode): readonly ClauseValue[] {
    const found = new Map<string, ClauseValue>();
    const visit = (inner: ASTNode, isWhole: boolean): void => {
      const isCall = inner.op === 'call' || inner.op === 'rcall';
      const isHas = inner.op === 'call' && inner.args[0] === 'has';
      if (inner.op === '.' || inner.op === 'id' || (isCall && !isWhole && !isHas)) {
        const name = serialize(inner);
        if (!found.has(name)) found.set(name, { name, value: shown(this.#evaluate(inner)) });
      }
      if (inner.op === '.' || inner.op === 'id') return;
      for (const child of operandsOf(inner)) visit(child, false);
    };
    visit(node, true);
    return [...found.values()];
  }

  #evaluate(node: ASTNode): ExpressionValue {
    return compileExpression(this.#label, serialize(node)).valueOf(this.#alert);
  }
}

function joinedBy(node: ASTNode): Readonly<{ kind: Clause['kind']; nodes: readonly ASTNode[] }> | null {
  switch (node.op) {
    case '&&':
      return { kind: 'all', nodes: flattened(node, '&&') };
    case '||':
      return { kind: 'any', nodes: flattened(node, '||') };
    case '!_':
      return { kind: 'not', nodes: [node.args] };
    case '?:':
      return { kind: 'choice', nodes: node.args };
    default:
      return null;
  }
}

/** The members of a chain: `a && b && c` is one clause of three, however the parser has nested it. */
function flattened(node: ASTNode, op: '&&' | '||'): readonly ASTNode[] {
  return node.op === op ? node.args.flatMap((part) => flattened(part, op)) : [node];
}

/** What a node is computed from and has a value outside it. */
function operandsOf(node: ASTNode): readonly ASTNode[] {
  if (node.op === 'rcall') {
    const [method, receiver, args] = node.args;
    return LOOPS.has(method) ? [receiver] : [receiver, ...args];
  }
  const found: ASTNode[] = [];
  const collect = (args: unknown): void => {
    if (Array.isArray(args)) args.forEach(collect);
    // Operands are nodes, names or literals; only nodes have an operator.
    else if (typeof args === 'object' && args !== null && 'op' in args) found.push(args as ASTNode);
  };
  collect(node.args);
  return found;
}

function truthOf(result: ExpressionValue): Truth {
  if ('failure' in result) return 'failed';
  if ('absent' in result) return 'undecided';
  return result.value === true ? 'true' : 'false';
}

function shown(result: ExpressionValue): ClauseValue['value'] {
  if (!('value' in result)) return null;
  const { value } = result;
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
      return value;
    default:
      if (Array.isArray(value)) return `${value.length} rows`;
      return value === null || value === undefined ? null : 'a record';
  }
}
