/** The planetary theory VSOP87 as the package `astronomia` carries it: amplitude, phase, frequency a term. */
declare module 'astronomia/data/*' {
  type Series = Readonly<Record<string, readonly (readonly [number, number, number])[]>>;
  const theory: Readonly<{ L: Series; B: Series; R: Series; name: string; type: string }>;
  export default theory;
}
