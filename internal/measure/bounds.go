package measure

// Bounds returns the smallest and the largest time of a bucket, in seconds.
// coarse tells its histogram's digits: 2 or 3.
func (b Bucket) Bounds(coarse bool) (low, high float64) {
	digits := uint(fineBits)
	if coarse {
		digits = coarseBits
	}
	least, most := bucketRange(int(b.Index), digits)
	return float64(least) / 1e6, float64(most) / 1e6
}
