package spec

import (
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"

	"tollgate/internal/expr"
)

// endpoint parses a spec with one endpoint, which has the keys.
func endpoint(t testing.TB, keys string, files map[string]string) (*Spec, *Endpoint) {
	t.Helper()
	text := "version: 1\nname: a\ntarget: {url: \"http://127.0.0.1\"}\nendpoints:\n  e:\n    request: POST /\n    values: {a: 1}\n" +
		"    " + strings.ReplaceAll(keys, "\n", "\n    ") + "\npersonas: {p: {tasks: {e: 1}}}\nstages: [steady: {users: 1, for: 1s}]\n"
	s := parse(t, text, Options{ReadFile: kept(files)})
	return s, s.Endpoints[0]
}

func TestFormIsReadBackAsItWasWritten(t *testing.T) {
	s, e := endpoint(t, `form: {"a b&": "x=${a}&", n: 1.50, yes: true, é: "${a}"}`, nil)
	if e.Type != "application/x-www-form-urlencoded" {
		t.Error(e.Type)
	}
	body := render(t, s, e.Body, map[string]expr.Value{"a": expr.Str("1 /+é%")})
	got, err := url.ParseQuery(body)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"a b&": "x=1 /+é%&", "n": "1.50", "yes": "true", "é": "1 /+é%"} {
		if got.Get(key) != want {
			t.Errorf("%s is %q in %s", key, got.Get(key), body)
		}
	}
	if !strings.HasPrefix(body, "a%20b%26=") || strings.Count(body, "&") != 3 {
		t.Errorf("the fields are not in the order of the file: %s", body)
	}
}

func TestMultipartIsReadBackAsItWasWritten(t *testing.T) {
	const photo = "\x89PNG\r\n--tollgate-\r\n\x00${a}"
	keys := "multipart:\n  title: Hello ${a}\n  'na\"me': {file: data/x.png}\n  raw: {file: data/x.png, filename: 'a \"b\".bin', type: application/x-raw}"
	s, e := endpoint(t, keys, map[string]string{"data/x.png": photo})
	_, parameters, err := mime.ParseMediaType(e.Type)
	if err != nil {
		t.Fatal(err)
	}
	body := render(t, s, e.Body, map[string]expr.Value{"a": expr.Str("é\r\n")})
	r := multipart.NewReader(strings.NewReader(body), parameters["boundary"])
	for _, want := range []struct{ name, file, mime, content string }{
		{"title", "", "", "Hello é\r\n"},
		{"na%22me", "x.png", "image/png", photo},
		{"raw", "a %22b%22.bin", "application/x-raw", photo},
	} {
		p, err := r.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(p)
		if err != nil || p.FormName() != want.name || p.FileName() != want.file || p.Header.Get("Content-Type") != want.mime || string(content) != want.content {
			t.Errorf("%v: %q, %v", p.Header, content, err)
		}
	}
	if _, err := r.NextRawPart(); err != io.EOF {
		t.Error(err)
	}
	_, again := endpoint(t, keys, map[string]string{"data/x.png": photo})
	if again.Type != e.Type {
		t.Error("the same spec has another boundary")
	}
	_, other := endpoint(t, keys, map[string]string{"data/x.png": photo + "!"})
	if other.Type == e.Type {
		t.Error("another content has the same boundary")
	}
}

func TestBodyFileIsSentAsItIs(t *testing.T) {
	const content = "\x00${a}\r\n$${"
	for name, want := range map[string]string{"a.xml": "application/xml", "b.JSON": "application/json", "c": "application/octet-stream", "d.unknown": "application/octet-stream", "e/f.png": "image/png"} {
		s, e := endpoint(t, "body: {file: ./"+name+"}", map[string]string{name: content})
		if got := render(t, s, e.Body, nil); got != content || e.Type != want {
			t.Errorf("%s: %q as %s", name, got, e.Type)
		}
	}
	if _, e := endpoint(t, "body: {file: a.xml}\nheaders: {content-type: text/x}", map[string]string{"a.xml": ""}); e.Type != "" || e.Body == nil {
		t.Errorf("the header does not win: %+v", e)
	}
}
