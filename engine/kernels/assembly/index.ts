/** What the module exports. Pointers are byte offsets in the frame arena; counts and sizes are in elements. */
export * from './decode';
export * from './smooth';
export { loadPair, kernelSpectrum, transformTile, filterTile, multiplyTile, storePair, addPair } from './convolve';
export { warpCell } from './warp';
export { stampVectors, normalEquations } from './stamps';
export { labelRegions } from './label';
export { fillSharpness } from './sharpness';
export {
  copyUsable, markLabelled, normalizeScore, scalePlane, subtractPlanes, subtractRowPolynomial, weighByVariance,
} from './arithmetic';
export { assembleAmp, divideByFlat, excessSums, varianceRow } from './isr';
export { differenceVariance, listAbove } from './difference';
export { clippedCell } from './background';
export { decodeRiceRows } from './rice';
export { markBlank, markNear } from './near';
export { listPeaks, markAboveMesh, markBytes, subtractMesh } from './mesh';
export { measureWindow } from './windowed';
export { fitStar, movePadded, placePsf } from './starFit';
export { inspectPixels } from './inspect';
export { binomialSums, columnHeights, expectedVariance } from './light';
