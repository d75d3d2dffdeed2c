package fastlytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object.
type object = map[string]any

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// refusal is an error that is answered.
type refusal struct{ answer }

// Error implements error.
func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, r.body) }

const jsonType = "application/json"

// jsonAnswer has v as its body; a nil v leaves it empty.
func jsonAnswer(status int, v any) answer {
	a := answer{status: status, header: http.Header{}}
	if v == nil {
		return a
	}
	body, err := json.Marshal(v)
	if err != nil { // no value of this package is unmarshalable
		panic(err)
	}
	a.header.Set("Content-Type", jsonType)
	a.body = body
	return a
}

func refuse(status int, v any) error { return &refusal{jsonAnswer(status, v)} }

// The error bodies of the older parts of the API.

func badRequest(detail string) error {
	return refuse(http.StatusBadRequest, object{"msg": "Bad request", "detail": detail})
}

// room refuses one more of what there are n of. The bounds are generous but for
// those known; the words are Fastly's for domains.
func room(what string, n int) error {
	bound := 1000
	switch what {
	case "domains":
		bound = 10
	case "backends", "resources":
		bound = 100
	case "items":
		bound = 10000
	}
	if n < bound {
		return nil
	}
	return badRequest(fmt.Sprintf("Exceeding max number of %s: %d", what, bound))
}

func duplicate(kind, name string) error {
	return refuse(http.StatusConflict, object{"msg": "Duplicate record", "detail": fmt.Sprintf("Duplicate %s: '%s'", kind, name)})
}

func locked(service string, version int) error {
	detail := fmt.Sprintf("Version '%d' for service '%s' is locked", version, service)
	return refuse(http.StatusUnprocessableEntity, object{"msg": "Version locked", "detail": detail})
}

// notFound names what was looked for as the API does; fields are name and value
// in turn.
func notFound(kind string, fields ...string) error {
	pairs := []string{"deleted => 0000-00-00 00:00:00"}
	for i := 0; i+1 < len(fields); i += 2 {
		pairs = append(pairs, fields[i]+" => "+fields[i+1])
	}
	sort.Strings(pairs)
	detail := fmt.Sprintf("Couldn't find %s '{ %s }'", kind, strings.Join(pairs, ", "))
	return refuse(http.StatusNotFound, object{"msg": "Record not found", "detail": detail})
}

// invisible is the answer about a service that the token may not see.
func invisible() error {
	return refuse(http.StatusNotFound, object{"msg": "Record not found", "detail": "Cannot find 'nil_class'"})
}

func unknownRoute() error { return refuse(http.StatusNotFound, object{"msg": "Not found"}) }

func unauthorized() error {
	return refuse(http.StatusForbidden, object{"msg": "You are not authorized to perform this action"})
}

func expired() error {
	return refuse(http.StatusUnauthorized, object{"msg": "Provided credentials are missing or invalid"})
}

// The error bodies of its newer parts.

func titled(status int, title, detail string) error {
	return refuse(status, object{"title": title, "detail": detail})
}

func productRefusal(status int, title string) error {
	return refuse(status, object{"type": "", "title": title, "status": status, "errors": nil, "detail": ""})
}

func listed(status int, title, detail string) error {
	return refuse(status, object{"errors": []object{{"title": title, "detail": detail}}})
}

// done is the body of what has no other.
func done() object { return object{"status": "ok"} }

// Times, as different parts of the API write them.

func stamp(t time.Time) string      { return t.UTC().Format("2006-01-02T15:04:05Z") }
func plainStamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
func milliStamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// stampOrNil is null for no time.
func stampOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// limits sets the headers that tell of the hourly budget.
func (a *answer) limits(remaining int, reset time.Time) {
	a.header.Set("Fastly-RateLimit-Remaining", strconv.Itoa(max(remaining, 0)))
	a.header.Set("Fastly-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
}

func overLimit(reset time.Time) answer {
	a := jsonAnswer(http.StatusTooManyRequests, object{
		"msg": "You have exceeded your hourly rate limit. Please contact support@fastly.com if you think this is a mistake.",
	})
	a.limits(0, reset)
	return a
}
