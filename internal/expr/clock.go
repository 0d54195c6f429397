package expr

import "time"

// appendISO appends an instant, in nanoseconds since the Unix epoch, as
// 2026-01-02T03:04:05.000006+00:00.
func appendISO(dst []byte, ns int64) []byte {
	t := time.Unix(0, ns).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, year, 4)
	dst = append(dst, '-')
	dst = appendDigits(dst, int(month), 2)
	dst = append(dst, '-')
	dst = appendDigits(dst, day, 2)
	dst = append(dst, 'T')
	dst = appendDigits(dst, hour, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, minute, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, second, 2)
	dst = append(dst, '.')
	dst = appendDigits(dst, t.Nanosecond()/1000, 6)
	return append(dst, "+00:00"...)
}

func appendDigits(dst []byte, v, width int) []byte {
	var b [6]byte
	for i := width - 1; i >= 0; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
	}
	return append(dst, b[:width]...)
}

// tellsTime reports whether a layout shows anything of the time it is given.
// One such as %Y-%m-%d, in the manner of other languages, does not.
func tellsTime(layout string) bool {
	a := time.Date(2031, time.November, 22, 21, 43, 54, 987654321, time.UTC)
	b := time.Date(2044, time.August, 13, 10, 38, 47, 123456789, time.UTC)
	return a.Format(layout) != b.Format(layout)
}
