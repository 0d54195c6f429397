package slo

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestARelationComparesTotalsOfTheRun(t *testing.T) {
	total := func(v float64, n, lost uint64) Total { return Total{Value: v, N: n, Lost: lost} }
	const zeroLoss = "delta(alerts_stored) >= successes{endpoint=alert_ingest}"
	for name, c := range map[string]struct {
		src         string
		left, right Total
		want        Verdict
		reason      string
	}{
		"nothing was lost":            {zeroLoss, total(60000, 2, 0), total(60000, 60010, 0), Pass, "delta(alerts_stored) 60,000, successes{endpoint=alert_ingest} 60,000 over the run: pass"},
		"more were stored":            {zeroLoss, total(60007, 2, 0), total(60000, 60010, 0), Pass, "delta(alerts_stored) 60,007, successes{endpoint=alert_ingest} 60,000 over the run: pass"},
		"one was lost":                {zeroLoss, total(59999, 2, 0), total(60000, 60010, 0), Fail, "delta(alerts_stored) 59,999, successes{endpoint=alert_ingest} 60,000 over the run: fail"},
		"one may have been":           {zeroLoss, total(60000, 2, 0), total(60000, 60010, 1), Inconclusive, "delta(alerts_stored) 60,000, successes{endpoint=alert_ingest} 60,000 over the run, 1 lost: NOT PROVEN"},
		"enough for all that may":     {zeroLoss, total(60001, 2, 0), total(60000, 60010, 1), Pass, "delta(alerts_stored) 60,001, successes{endpoint=alert_ingest} 60,000 over the run, 1 lost: pass"},
		"none could mend it":          {zeroLoss, total(59999, 2, 0), total(60000, 60010, 9), Fail, "delta(alerts_stored) 59,999, successes{endpoint=alert_ingest} 60,000 over the run, 9 lost: fail"},
		"the probe fell":              {zeroLoss, total(-5, 2, 0), total(60000, 60010, 0), Fail, "delta(alerts_stored) -5, successes{endpoint=alert_ingest} 60,000 over the run: fail"},
		"read only once":              {zeroLoss, total(60000, 1, 0), total(60000, 60010, 0), NoData, "delta(alerts_stored): delta(alerts_stored) was not read before and after the run: no data"},
		"the endpoint was not called": {zeroLoss, total(0, 2, 0), Total{}, NoData, "delta(alerts_stored): successes{endpoint=alert_ingest} has no request in scope: no data"},
		"no success of many calls":    {zeroLoss, total(0, 2, 0), total(0, 60010, 0), Pass, "delta(alerts_stored) 0, successes{endpoint=alert_ingest} 0 over the run: pass"},
		"no arrival":                  {"dropped < requests{task=a}", Total{}, total(1, 1, 0), NoData, "dropped: dropped has no arrival in scope: no data"},

		"equal":                   {"successes{endpoint=a} == successes{endpoint=b}", total(9, 9, 0), total(9, 12, 0), Pass, "successes{endpoint=a} 9, successes{endpoint=b} 9 over the run: pass"},
		"maybe equal":             {"successes{endpoint=a} == successes{endpoint=b}", total(9, 9, 0), total(9, 12, 2), Inconclusive, "successes{endpoint=a} 9, successes{endpoint=b} 9 over the run, 2 lost: NOT PROVEN"},
		"not equal":               {"successes{endpoint=a} == successes{endpoint=b}", total(9, 9, 2), total(12, 12, 2), Fail, "successes{endpoint=a} 9, successes{endpoint=b} 12 over the run, 4 lost: fail"},
		"maybe not":               {"successes{endpoint=a} != successes{endpoint=b}", total(9, 9, 3), total(12, 12, 0), Inconclusive, "successes{endpoint=a} 9, successes{endpoint=b} 12 over the run, 3 lost: NOT PROVEN"},
		"less by all that may be": {"requests{task=a} < requests{task=b}", total(9, 9, 2), total(12, 12, 0), Pass, "requests{task=a} 9, requests{task=b} 12 over the run, 2 lost: pass"},
		"less or not":             {"requests{task=a} < requests{task=b}", total(9, 9, 3), total(12, 12, 0), Inconclusive, "requests{task=a} 9, requests{task=b} 12 over the run, 3 lost: NOT PROVEN"},
		"lost bytes":              {"bytes_in{task=a} < bytes_in{task=b}", total(9, 9, 1), total(1<<30, 12, 0), Inconclusive, "bytes_in{task=a} 9 B, bytes_in{task=b} 1 GiB over the run, 1 lost: NOT PROVEN"},
		"lost bytes on the right": {"bytes_in{task=a} < bytes_in{task=b}", total(9, 9, 0), total(1<<30, 12, 5), Pass, "bytes_in{task=a} 9 B, bytes_in{task=b} 1 GiB over the run, 5 lost: pass"},
		"against a number":        {"delta(alerts_stored) >= 1000", total(1000, 2, 0), Total{}, Pass, "delta(alerts_stored) 1,000 over the run: pass"},
		"below a number":          {"delta(alerts_stored) > 1000", total(1000, 2, 0), Total{}, Fail, "delta(alerts_stored) 1,000 over the run: fail"},
		"with a unit":             {"delta(heap) < 1MiB", total(1<<20-1, 2, 0), Total{}, Pass, "delta(heap) 1,023.999 KiB over the run: pass"},
		"at a level that fell":    {"delta(heap) <= 0", total(-0.5, 2, 0), Total{}, Pass, "delta(heap) -0.5 over the run: pass"},
	} {
		r := judged(t, c.src, Evidence{Left: c.left, Right: c.right})
		if r.Verdict != c.want || r.Reason != c.reason {
			t.Errorf("%s: %s\n  got  %v %q\n  want %v %q", name, c.src, r.Verdict, r.Reason, c.want, c.reason)
		}
		if r.Verdict != NoData && (r.Observed != c.left.Value || r.Lost != c.left.Lost+c.right.Lost) {
			t.Errorf("%s: observed %v with %d lost", name, r.Observed, r.Lost)
		}
	}
}

func TestLostSamplesNeverTurnARelationWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		op := rapid.SampledFrom([]string{"<", "<=", ">", ">=", "==", "!="}).Draw(t, "op")
		src := rapid.SampledFrom([]string{"requests{task=a} " + op + " requests{task=b}", "bytes_in{task=a} " + op + " bytes_in{task=b}", "delta(heap) " + op + " successes"}).Draw(t, "sides")
		o := mustParse(t, src)
		side := func(m Metric, label string) (seen, truth Total) {
			seen = Total{Value: float64(rapid.IntRange(0, 9).Draw(t, label)), N: 9}
			if m.Kind != Delta {
				seen.Lost = rapid.Uint64Range(0, 3).Draw(t, label+" lost")
			}
			truth = seen
			truth.Lost = 0
			for range seen.Lost {
				gain := 1
				if m.unit() == Bytes {
					gain = 50
				}
				truth.Value += float64(rapid.IntRange(0, gain).Draw(t, "it was"))
			}
			return seen, truth
		}
		left, trueLeft := side(o.Metric, "left")
		right, trueRight := side(o.Right.Metric, "right")
		told, truth := judged(t, src, Evidence{Left: left, Right: right}), judged(t, src, Evidence{Left: trueLeft, Right: trueRight})
		if told.Verdict != Inconclusive && told.Verdict != truth.Verdict {
			t.Fatalf("told %q, in truth %q", told.Reason, truth.Reason)
		}
	})
}

func TestAProbeMustHoldAtEachReading(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		src      string
		gauge    []float64
		want     Verdict
		observed float64
		reason   string
	}{
		"all below":              {"pg_connections < 80", []float64{10, 79, 5}, Pass, 79, "pg_connections 79, the worst of 3 readings: pass"},
		"one at the limit":       {"pg_connections < 80", []float64{10, 80, 5}, Fail, 80, "pg_connections 80, the worst of 3 readings, 1 broken: fail"},
		"a lower bound":          {"pg_connections >= 5", []float64{10, 80, 4}, Fail, 4, "pg_connections 4, the worst of 3 readings, 1 broken: fail"},
		"equal":                  {"pg_connections == 5", []float64{5, 5, 6, 7}, Fail, 6, "pg_connections 6, the worst of 4 readings, 2 broken: fail"},
		"not equal":              {"pg_connections != 5", []float64{4, 5, 6}, Fail, 5, "pg_connections 5, the worst of 3 readings, 1 broken: fail"},
		"a size":                 {"heap < 1MiB", []float64{1 << 19, 1 << 20}, Fail, 1 << 20, "heap 1 MiB, the worst of 2 readings, 1 broken: fail"},
		"one did not answer":     {"pg_connections < 80", []float64{10, nan, 5}, NoData, nan, "pg_connections: the probe did not answer in 1 of 3 readings: no data"},
		"one broke beside it":    {"pg_connections < 80", []float64{90, nan, 5}, Fail, 90, "pg_connections 90, the worst of 3 readings, 1 broken: fail"},
		"none answered":          {"pg_connections < 80", []float64{nan, nan}, NoData, nan, "pg_connections: the probe never answered: no data"},
		"it was not asked":       {"pg_connections < 80", nil, NoData, nan, "pg_connections: no reading of the probe fell into the scope: no data"},
		"below nothing":          {"heap >= 0", []float64{-1, 5}, Fail, -1, "heap -1, the worst of 2 readings, 1 broken: fail"},
		"a limit of no decimals": {"heap >= 1000/m", []float64{17}, Pass, 17, "heap 17/s, the only reading: pass"},
	} {
		r := judged(t, c.src, Evidence{Gauge: c.gauge, Seconds: 60})
		same := r.Observed == c.observed || math.IsNaN(r.Observed) && math.IsNaN(c.observed)
		if r.Verdict != c.want || !same || r.Reason != c.reason {
			t.Errorf("%s: %s\n  got  %v %v %q\n  want %v %v %q", name, c.src, r.Verdict, r.Observed, r.Reason, c.want, c.observed, c.reason)
		}
	}
}
