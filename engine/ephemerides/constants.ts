/** Constants of the solar system's dynamics. Lengths in au, times in days of TT. */

/** Gaussian gravitational constant: √(GM of the Sun), au^1.5 / d (IAU 1976; published elements keep it). */
export const GAUSS = 0.01720209895;
/** GM of the Sun, au³ / d². */
export const SUN_GM = GAUSS * GAUSS;

/** Light time of one au, days: 499.004783836 s (IAU 2009). */
export const LIGHT_DAYS_PER_AU = 499.004783836 / 86400;
/** One au a day, km/s: 149,597,870.7 km (IAU 2012) in 86,400 s. */
export const KM_S_PER_AU_DAY = 149_597_870.7 / 86_400;

export const RADIANS = Math.PI / 180;

/** Obliquity of the ecliptic of J2000 to which orbital elements are referred (IAU 1976, as the MPC and JPL do). */
export const OBLIQUITY = (84381.448 / 3600) * RADIANS;

/** TT − TAI, days. */
export const TT_MINUS_TAI_DAYS = 32.184 / 86400;
/** MJD of J2000.0, TT. */
export const J2000_MJD = 51544.5;

/** A vector in space, axes of the ICRS. */
export type Vector = readonly [number, number, number];
