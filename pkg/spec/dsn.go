package spec

import (
	"net/url"
	"regexp"
	"strings"
)

// Where returns the place of the database, without user, password and
// parameters: postgres://127.0.0.1:5432/app. It is "" if it is not set.
func (s *Seed) Where() string {
	where, _, _ := parseDSN(s.Postgres)
	return where
}

var otherScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// parseDSN takes a connection string of libpq apart as far as people may see
// it, and returns what nobody may: the passwords in it, as they are and as they
// are written, and the whole if there is one. why says what is wrong with it,
// without a part of it.
func parseDSN(dsn string) (where string, secrets []string, why string) {
	if dsn == "" {
		return "", nil, "it is empty"
	}
	if strings.ContainsFunc(dsn, forbidden) || strings.ContainsAny(dsn, "\r\n\t") {
		return "", nil, "it has a control character"
	}
	rest, isURL := strings.CutPrefix(dsn, "postgresql://")
	if !isURL {
		rest, isURL = strings.CutPrefix(dsn, "postgres://")
	}
	switch {
	case isURL:
		where, secrets, why = parseURL(rest)
	case otherScheme.MatchString(dsn):
		return "", nil, "it does not begin with postgres://"
	default:
		where, secrets, why = parsePairs(dsn)
	}
	if why != "" {
		return "", nil, why
	}
	if len(secrets) > 0 {
		secrets = append(secrets, dsn)
	}
	return where, secrets, ""
}

// parseURL takes what follows postgres:// apart.
func parseURL(rest string) (where string, secrets []string, why string) {
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(authority, '@')
	hosts := authority[at+1:]
	if at >= 0 {
		if _, password, ok := strings.Cut(authority[:at], ":"); ok && password != "" {
			plain, err := url.PathUnescape(password)
			if err != nil {
				return "", nil, "in its password, % is written %25"
			}
			secrets = both(secrets, plain, password)
		}
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return "", nil, "its parameters cannot be read"
	}
	for _, key := range passwordKeys {
		for _, password := range params[key] {
			secrets = both(secrets, password, url.QueryEscape(password))
		}
	}
	if hosts == "" {
		hosts = params.Get("host")
		if port := params.Get("port"); port != "" && hosts != "" {
			hosts += ":" + port
		}
	}
	if path == "" {
		path = params.Get("dbname")
	}
	if database, err := url.PathUnescape(path); err == nil {
		path = database
	}
	return placeText(hosts, path), secrets, ""
}

// passwordKeys are the parameters that hold a secret.
var passwordKeys = []string{"password", "sslpassword"}

// both adds a password in its two forms.
func both(secrets []string, plain, written string) []string {
	if plain == "" {
		return secrets
	}
	secrets = append(secrets, plain)
	if written != plain {
		secrets = append(secrets, written)
	}
	return secrets
}

// parsePairs takes key = 'value' pairs apart, in the grammar of libpq.
func parsePairs(dsn string) (where string, secrets []string, why string) {
	found := map[string]string{}
	for rest := strings.TrimSpace(dsn); rest != ""; rest = strings.TrimLeft(rest, " ") {
		key, after, ok := strings.Cut(rest, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" || strings.ContainsAny(key, " '\\") {
			return "", nil, "it is neither postgres://… nor key=value"
		}
		after = strings.TrimLeft(after, " ")
		var value strings.Builder
		i, quoted := 0, strings.HasPrefix(after, "'")
		if quoted {
			i = 1
		}
		closed := false
		for ; i < len(after) && !closed; i++ {
			switch c := after[i]; {
			case c == '\\' && i+1 < len(after):
				i++
				value.WriteByte(after[i])
			case quoted && c == '\'', !quoted && c == ' ':
				closed = true
			default:
				value.WriteByte(c)
			}
		}
		if quoted && !closed {
			return "", nil, "a quote in it is not closed"
		}
		found[key] = value.String()
		for _, secret := range passwordKeys {
			if key == secret {
				written := strings.Trim(strings.TrimRight(after[:i], " "), "'")
				secrets = both(secrets, value.String(), written)
			}
		}
		rest = after[i:]
	}
	hosts := found["host"]
	if hosts == "" {
		hosts = found["hostaddr"]
	}
	if port := found["port"]; port != "" && hosts != "" {
		hosts += ":" + port
	}
	return placeText(hosts, found["dbname"]), secrets, ""
}

func placeText(hosts, database string) string {
	if database == "" {
		return "postgres://" + hosts
	}
	return "postgres://" + hosts + "/" + database
}
