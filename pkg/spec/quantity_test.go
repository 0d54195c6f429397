package spec

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantities(t *testing.T) {
	duration := func(s string) (any, error) { return ParseDuration(s) }
	span := func(s string) (any, error) { a, b, err := ParseRange(s); return fmt.Sprint(a, b), err }
	hold := func(s string) (any, error) { a, b, err := ParseHold(s); return fmt.Sprint(a, b), err }
	rate := func(s string) (any, error) { return ParseRate(s) }
	percent := func(s string) (any, error) { return ParsePercent(s) }
	size := func(s string) (any, error) { return ParseSize(s) }
	for _, tt := range []struct {
		parse func(string) (any, error)
		in    string
		want  any    // nil: an error
		hint  string // a part of its hint
	}{
		{duration, "200ms", 200 * time.Millisecond, ""},
		{duration, "1.5s", 1500 * time.Millisecond, ""},
		{duration, "1m30s", 90 * time.Second, ""},
		{duration, "1h", time.Hour, ""},
		{duration, "20us", 20 * time.Microsecond, ""},
		{duration, "0s", time.Duration(0), ""},
		{duration, "5", nil, "write 5s"},
		{duration, "0", nil, "write 0s"},
		{duration, "", nil, "write it like"},
		{duration, "-5s", nil, "write it like"},
		{duration, "30s1m", nil, "write it like"},
		{duration, "5 s", nil, "write it like"},
		{duration, "1d", nil, "write it like"},
		{duration, "1001h", nil, "at most 1000h"},
		{duration, "99999999999999999999h", nil, "at most 1000h"},
		{span, "2s", "2s 2s", ""},
		{span, "2s..5s", "2s 5s", ""},
		{span, "5s..2s", nil, "write 2s..5s"},
		{span, "2..5", nil, "write 2s"},
		{span, "2s..", nil, "write it like"},
		{hold, "5s", "5s 0s", ""},
		{hold, "20s..21s", "20s 21s", ""},
		{hold, "1m..5m", "1m0s 5m0s", ""},
		{hold, "5m..1m", nil, "write 1m..5m"},
		{hold, "1m..1m", nil, "write 1m,"},
		{hold, "19s..1m", nil, "write 20s..1m"},
		{hold, "5s..20s", nil, "write 20s:"},
		{hold, "1m..2m..3m", nil, "write it like"},
		{rate, "100/s", 100.0, ""},
		{rate, "30/m", 0.5, ""},
		{rate, "3600/h", 1.0, ""},
		{rate, "0.5/s", 0.5, ""},
		{rate, "100", nil, "write 100/s"},
		{rate, "100/d", nil, "write it like"},
		{rate, "-1/s", nil, "write it like"},
		{rate, "99999999999/s", nil, "at most"},
		{percent, "1%", 0.01, ""},
		{percent, "100%", 1.0, ""},
		{percent, "0.01", nil, "write 0.01%"},
		{percent, "101%", nil, "at most 100%"},
		{percent, "NaN%", nil, "write it like"},
		{size, "64KiB", int64(65536), ""},
		{size, "1.5kB", int64(1500), ""},
		{size, "512B", int64(512), ""},
		{size, "64", nil, "write 64B"},
		{size, "64KB", nil, "write it like"},
		{size, "99999999999GiB", nil, "at most"},
	} {
		got, err := tt.parse(tt.in)
		switch q, _ := err.(*QuantityError); {
		case tt.want != nil && (err != nil || got != tt.want):
			t.Errorf("%s: got %v, %v", tt.in, got, err)
		case tt.want == nil && (q == nil || !strings.Contains(q.Hint, tt.hint) || q.Msg == ""):
			t.Errorf("%s: got %v, %v", tt.in, got, err)
		}
	}
}

func TestWhatIsWrittenAsADurationIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]time.Duration{time.Microsecond, time.Second, time.Minute, time.Hour}).Draw(t, "unit")
		d := time.Duration(rapid.Int64Range(0, int64(maxDuration/unit)).Draw(t, "n")) * unit
		for _, text := range []string{FormatDuration(d), strings.ReplaceAll(d.String(), "µ", "u")} {
			if got, err := ParseDuration(text); got != d || err != nil {
				t.Fatalf("%s: %v, %v", text, got, err)
			}
		}
	})
}

func TestDurationsAreWrittenAsPeopleDo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 100 * time.Millisecond: "100ms", 10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s",
		2 * time.Hour: "2h", time.Hour + time.Second: "1h0m1s", 20 * time.Minute: "20m", 5*time.Minute + 500*time.Millisecond: "5m0.5s",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
}
