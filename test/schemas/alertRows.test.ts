import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { recordFields } from '../../schemas/alertSchema.ts';
import type { AlertRecordName, SchemaField } from '../../schemas/alertSchema.ts';
import { newDiaForcedSource, newDiaObject, newDiaSource } from '../../schemas/diaRows.ts';

const TYPES: readonly [string, AlertRecordName][] = [
  ['DiaSource', 'diaSource'], ['DiaObject', 'diaObject'], ['DiaForcedSource', 'diaForcedSource'],
  ['SsSource', 'ssSource'], ['MpcOrbit', 'mpc_orbits'], ['SsObject', 'ssObject'],
];
const typeTexts = readRowTypes();

test.each(TYPES)('%s has the fields of the schema, with their types', (typeName, recordName) => {
  const expected = recordFields(recordName, '11.0').map((field) => [field.name, textOf(field)]);
  expect(typeTexts.get(typeName)).toEqual(Object.fromEntries(expected));
});

test('Alert has the fields of the schema, null where the schema allows it', () => {
  const expected = recordFields('alert', '11.0').map((field) => [field.name, field.isNullable]);
  const nullable = Object.entries(typeTexts.get('Alert') ?? {}).map(([name, text]) => [name, text.endsWith('| null')]);
  expect(nullable).toEqual(expected);
});

test('newDiaSource leaves what was not measured null and fits that were not made without pixels', () => {
  const known = {
    diaSourceId: 1n, visit: 2n, detector: 3, midpointMjdTai: 4, ra: 5, dec: 6, x: 7, y: 8, timeProcessedMjdTai: 9,
    bboxSize: 10, psfFlux: 11,
  };
  const expected = blank('diaSource');
  Object.assign(expected, { psfNdata: 0, trailNdata: 0, dipoleNdata: 0 }, known);
  expect(newDiaSource(known)).toEqual(expected);
});

test('newDiaObject leaves features that were not computed null and the counts of all six bands 0', () => {
  const known = { diaObjectId: 1n, validityStartMjdTai: 2, ra: 3, dec: 4, nDiaSources: 5, g_psfFluxNdata: 5 };
  const expected = blank('diaObject');
  for (const band of 'ugrizy') expected[`${band}_psfFluxNdata`] = 0;
  expect(newDiaObject(known)).toEqual({ ...expected, ...known });
});

test('newDiaForcedSource leaves a flux that was not measured null', () => {
  const known = {
    diaForcedSourceId: 1n, diaObjectId: 2n, ra: 3, dec: 4, visit: 5n, detector: 6, midpointMjdTai: 7,
    timeProcessedMjdTai: 8,
  };
  expect(newDiaForcedSource(known)).toEqual({ ...blank('diaForcedSource'), ...known });
});

function blank(name: AlertRecordName): Record<string, unknown> {
  const nullable = recordFields(name, '11.0').filter((field) => field.isNullable);
  return Object.fromEntries(nullable.map((field) => [field.name, null]));
}

function textOf(field: SchemaField): string {
  return field.isNullable ? `${textOfKind(field)} | null` : textOfKind(field);
}

function textOfKind(field: SchemaField): string {
  switch (field.kind) {
    case 'long': case 'timestampMicros': return 'bigint';
    case 'int': case 'float': case 'double': return 'number';
    default: return field.kind;
  }
}

/** Per row type: its properties' types as the compiler prints them, in the order of declaration. */
function readRowTypes(): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const schemas = new URL('../../schemas/', import.meta.url);
  const files = ['diaRows.ts', 'ssRows.ts'].map((name) => fileURLToPath(new URL(name, schemas)));
  const program = ts.createProgram(files, {
    target: ts.ScriptTarget.ES2024, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2020.d.ts'], types: [], strict: true, allowImportingTsExtensions: true, noEmit: true,
  });
  const checker = program.getTypeChecker();
  const texts = new Map<string, Record<string, string>>();
  for (const file of files) {
    const source = program.getSourceFile(file);
    if (source === undefined) throw new Error(`${file} is not there`);
    for (const statement of source.statements.filter(ts.isTypeAliasDeclaration)) {
      const properties = checker.getTypeAtLocation(statement.name).getProperties();
      texts.set(statement.name.text, Object.fromEntries(properties.map((property) => {
        const type = checker.getTypeOfSymbol(property);
        return [property.name, checker.typeToString(type, statement, ts.TypeFormatFlags.NoTruncation)];
      })));
    }
  }
  return texts;
}
