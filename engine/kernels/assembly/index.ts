/** What the module exports. Pointers are byte offsets in the frame arena; counts and sizes are in elements. */
export * from './decode';
export { normalizeHalved, smoothHalved } from './halved';
export { normalizeByNoise, smoothSeparable } from './smooth';
export {
  addPair, combineKernels, filterTile, kernelSpectrum, loadPair, multiplyTile, storePair, transformTile,
} from './convolve';
export { warpCells } from './warpCells';
export { joinRuns, numberRuns } from './label';
export { countTops, filterRuns } from './footprints';
export { addEquations, normalEquations, stampVectors } from './stamps';
export { stampPixels } from './stampPixels';
export { measurePoints } from './pointSource';
export { measureShapes } from './shapes';
export { dipoleEquations, trailEquations } from './extended';
export { sumEllipse } from './ellipse';
export { addScaled, scalePlane, subtractRowPolynomial } from './arithmetic';
export { columnMedians, overscanMedians } from './overscan';
export { fillRuns } from './fill';
export { finishRows, restoreRows } from './finish';
export { listAtLeast, listMasked, listSharp } from './list';
export { gatherColumn, sampleCell, selectSmallest, takeDistances } from './sample';
export { varianceRows } from './variance';
export { removeSignature } from './signature';
export { addScaled16 } from './scaled';
export { differenceVariance, listAbove } from './difference';
export { clippedCell } from './background';
export { clippedRow } from './cells';
export { decodeRiceRows } from './rice';
export { markBlank, markNear } from './near';
export { spreadMask } from './spread';
export { ringNoise } from './ring';
export { ratePixels } from './rating';
export { sumLeaves } from './forest';
export { listExtremes, mostVotes, voteForLines } from './hough';
export { subtractMesh } from './mesh';
export { smoothSources } from './sources';
export { measureWindow } from './windowed';
export { fitStar, movePadded, placePsf } from './starFit';
export { inspectPixels } from './inspect';
export { addExpectedLight, columnHeights } from './light';
export {
  addSlopes, blankMasked, flagAbove, flagNaN, keepBits, listBright, listPeaksOver, slopeRow, subtractMatched, translateMask,
} from './match';
