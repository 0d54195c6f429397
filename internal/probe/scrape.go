package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tollgate/internal/reach"
	"tollgate/pkg/spec"
)

// mostOfPage is how long a page of metrics may be, in bytes.
const mostOfPage = 16 << 20

// scrape reads a page of metrics and adds up the samples that match.
type scrape struct {
	client
	page *url.URL
	want wanted
}

func newScrape(d *spec.Probe, hosts reach.Hosts) (source, string, error) {
	u, err := webURL(d.Scrape)
	if err != nil {
		return nil, "", err
	}
	s := &scrape{client: newClient(u, hosts), page: u, want: wanted{metric: d.Metric, labels: d.Labels}}
	return s, fmt.Sprintf("does %s answer with metrics in the text format of Prometheus, and is %s among them?", u.Host, s.want), nil
}

func (s *scrape) read(ctx context.Context) (a answer, err error) {
	err = s.get(ctx, s.page, "text/plain;version=0.0.4", mostOfPage, func(status int, body io.Reader) error {
		if status != http.StatusOK {
			return fmt.Errorf("status %d", status)
		}
		found, err := sum(body, s.want)
		switch {
		case err != nil:
			return err
		case found.samples == 0 && found.counter && found.others == 0:
			// Declared, and nothing has been counted under any labels yet. Beside
			// samples with other labels, those asked for may be misspelt.
		case found.samples == 0:
			return fmt.Errorf("no sample of %s", s.want)
		}
		a = answer{found.value, found.counter}
		return nil
	})
	return a, err
}

// wanted says which samples of a page are meant.
type wanted struct {
	metric string
	labels map[string]string
}

// String writes it as the page does.
func (w wanted) String() string {
	if len(w.labels) == 0 {
		return w.metric
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(w.labels)) {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, w.labels[name]))
	}
	return w.metric + "{" + strings.Join(pairs, ",") + "}"
}

var errEndless = errors.New("a line of more than 64 KiB")
