/** What the module exports. Pointers are byte offsets in the frame arena; counts and sizes are in elements. */
export * from './decode';
export * from './smooth';
export { loadPair, kernelSpectrum, transformTile, filterTile, multiplyTile, storePair, addPair } from './convolve';
export { warpCell } from './warp';
export { stampVectors, normalEquations } from './stamps';
export { labelRegions, listRegion } from './label';
export {
  addScaled, copyUsable, markLabelled, normalizeScore, scalePlane, subtractPlanes, subtractRowPolynomial,
  weighByVariance,
} from './arithmetic';
export { overscanMedians } from './overscan';
export { finishSignature } from './finish';
export { listMasked, listSharp } from './list';
export { varianceAhead, varianceRow } from './variance';
export { removeSignature } from './signature';
export { differenceVariance, listAbove } from './difference';
export { clippedCell } from './background';
export { decodeRiceRows } from './rice';
export { markBlank, markNear } from './near';
export { listPeaks, markAboveMesh, markBytes, subtractMesh } from './mesh';
export { measureWindow } from './windowed';
export { fitStar, movePadded, placePsf } from './starFit';
export { inspectPixels } from './inspect';
export { addExpectedLight, columnHeights } from './light';
export {
  blankMasked, flagAbove, keepBits, listBright, slopeRow, subtractMatchedRow, translateMask,
} from './match';
