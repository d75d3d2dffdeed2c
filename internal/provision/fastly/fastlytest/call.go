package fastlytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// encoding is how a request carries its body.
type encoding int

const (
	noBody encoding = iota
	formBody
	jsonBody
	rawBody
	filePart // multipart, one part named package
)

// right is what a route asks of a token beside being valid.
type right int

const (
	byMethod right = iota // global, or global:read for GET; a role that may write
	own                   // nothing: it is about the token itself
	sudoed                // a session in sudo mode
	admin                 // sudoed, and the role superuser
	bearer                // Authorization instead of Fastly-Key, judged by the route
)

// route is one line of the API.
type route struct {
	pattern string // as http.ServeMux has it
	body    encoding
	status  int // of success; 0 stands for 200
	right   right
	counted bool // against the hourly budget
	handle  func(*call) (any, error)
}

// call is one request on its way through a route. Its methods run under Server.mu.
type call struct {
	*Server
	req   *http.Request
	token *Token
	at    time.Time

	raw   []byte
	form  url.Values
	json  object
	draft *Service // whose draft the call changes
}

// answer runs the request through its route.
func (s *Server) answer(rt route, r *http.Request, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{Server: s, req: r, at: s.now(), raw: body}
	if err := c.authorize(rt); err != nil {
		return refused(err)
	}
	if rt.counted {
		if over := c.spend(); over != nil {
			return *over
		}
	}
	a := c.run(rt)
	if rt.counted {
		a.limits(s.opt.HourlyWrites-s.budget.used, s.reset())
	}
	return a
}

func (c *call) run(rt route) answer {
	err := c.decode(rt.body)
	var v any
	if err == nil {
		v, err = rt.handle(c)
	}
	if c.req.Method != http.MethodGet && c.req.Method != http.MethodHead {
		c.changed()
	}
	if err != nil {
		return refused(err)
	}
	if c.draft != nil && c.traits.moveActive {
		c.moveActive()
	}
	if whole, ok := v.(answer); ok {
		return whole
	}
	if rt.status == 0 {
		rt.status = http.StatusOK
	}
	return jsonAnswer(rt.status, v)
}

func refused(err error) answer {
	var r *refusal
	if !errors.As(err, &r) {
		return jsonAnswer(http.StatusInternalServerError, object{"msg": err.Error()})
	}
	return r.answer
}

// spend takes one write from the budget of the hour, or answers 429.
func (c *call) spend() *answer {
	if until := c.traits.limitedUntil; c.at.Before(until) {
		a := overLimit(until)
		return &a
	}
	if hour := c.at.Truncate(time.Hour); !hour.Equal(c.budget.hour) {
		c.budget = budget{hour: hour}
	}
	if c.budget.used >= c.opt.HourlyWrites {
		a := overLimit(c.reset())
		return &a
	}
	c.budget.used++
	return nil
}

// reset is when the budget is full again: every recorded value is a full hour.
func (s *Server) reset() time.Time { return s.budget.hour.Add(time.Hour) }

// authorize finds the token and judges what it may do.
func (c *call) authorize(rt route) error {
	if rt.right == bearer {
		return nil
	}
	t, err := c.tokenOf(c.req.Header.Get("Fastly-Key"))
	if err != nil {
		return err
	}
	c.token = t
	if err := c.permit(rt); err != nil {
		return err
	}
	t.Used, t.IP, t.UserAgent = c.at, "192.0.2.10", c.req.UserAgent()
	if id := c.req.PathValue("service"); id != "" && !t.covers(id) {
		return invisible()
	}
	return nil
}

// tokenOf finds the token of a value: 403 if there is none, 401 if it has expired.
func (c *call) tokenOf(value string) (*Token, error) {
	t := find(c.account.Tokens, func(t *Token) bool { return t.Value == value })
	switch {
	case t == nil || value == "":
		return nil, unauthorized()
	case t.expired(c.at):
		return nil, expired()
	}
	return t, nil
}

func (c *call) permit(rt route) error {
	t, reads := c.token, c.req.Method == http.MethodGet || c.req.Method == http.MethodHead
	switch {
	case rt.right == own:
		return nil
	case reads && (t.has("global") || t.has("global:read")):
		return nil
	case !t.has("global"):
		return unauthorized()
	case rt.right == admin && (t.Role != "superuser" || t.Automation || c.traits.noSuperuser):
		return unauthorized()
	case (rt.right == sudoed || rt.right == admin) && !t.Sudo.After(c.at):
		return refuse(http.StatusForbidden, object{"msg": "Sudo mode is required", "detail": "POST /sudo first"})
	case rt.right == byMethod && t.Role != "superuser" && t.Role != "engineer":
		return unauthorized()
	}
	return nil
}

func (t *Token) expired(at time.Time) bool { return !t.Expires.IsZero() && !t.Expires.After(at) }

func (t *Token) has(scope string) bool { return slices.Contains(strings.Fields(t.Scope), scope) }

func (t *Token) covers(service string) bool {
	return len(t.Services) == 0 || slices.Contains(t.Services, service)
}

// purges reports whether the token may purge a service, which is what publishing
// and the app's administration ask for.
func (t *Token) purges(service string, at time.Time) bool {
	return !t.expired(at) && t.covers(service) && (t.has("global") || t.has("purge_select") || t.has("purge_all"))
}

// decode reads the body in the one encoding the route takes.
func (c *call) decode(e encoding) error {
	kind, params, _ := mime.ParseMediaType(c.req.Header.Get("Content-Type"))
	wrong := func(want string) error {
		return refuse(http.StatusUnsupportedMediaType, object{"msg": "Bad request", "detail": "this call takes " + want})
	}
	switch e {
	case formBody:
		if kind != "application/x-www-form-urlencoded" {
			return wrong("application/x-www-form-urlencoded")
		}
		form, err := url.ParseQuery(string(c.raw))
		if err != nil {
			return badRequest("malformed form")
		}
		c.form = form
	case jsonBody:
		if len(c.raw) == 0 {
			return nil
		}
		if kind != jsonType {
			return wrong(jsonType)
		}
		if err := json.Unmarshal(c.raw, &c.json); err != nil {
			return badRequest("malformed JSON")
		}
	case filePart:
		if kind != "multipart/form-data" {
			return wrong("multipart/form-data")
		}
		return c.readPart(params["boundary"])
	}
	return nil
}

// readPart replaces the raw body by the part named package.
func (c *call) readPart(boundary string) error {
	r := multipart.NewReader(bytes.NewReader(c.raw), boundary)
	for {
		part, err := r.NextPart()
		if err != nil {
			return badRequest("there is no part named package")
		}
		if part.FormName() == "package" {
			c.raw, err = io.ReadAll(part)
			return err
		}
	}
}

// text is a string member of the JSON body, empty if it is absent or another type.
func (c *call) text(member string) string {
	s, _ := c.json[member].(string)
	return s
}

// path is a wildcard of the route's pattern, decoded.
func (c *call) path(name string) string { return c.req.PathValue(name) }

func (c *call) query() url.Values { return c.req.URL.Query() }

// number is a number of the query up to a million, or otherwise.
func (c *call) number(name string, otherwise int) int {
	if n, err := strconv.Atoi(c.query().Get(name)); err == nil && n > 0 && n <= 1e6 {
		return n
	}
	return otherwise
}

// onService finds the service that the path names.
func (c *call) onService() (*Service, error) {
	id := c.path("service")
	if s := c.account.service(id); s != nil {
		return s, nil
	}
	return nil, notFound("Service", "id", id)
}

// onVersion finds the version that the path names.
func (c *call) onVersion() (*Service, *Version, error) {
	s, err := c.onService()
	if err != nil {
		return nil, nil, err
	}
	n, err := strconv.Atoi(c.path("version"))
	if err != nil {
		return nil, nil, badRequest("Version must be a number")
	}
	if v := s.Version(n); v != nil {
		return s, v, nil
	}
	return nil, nil, notFound("Version", "service", s.ID, "number", itoa(n))
}

// onDraft finds the version that the path names and insists that it may be changed.
func (c *call) onDraft() (*Service, *Version, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, nil, err
	}
	if c.traits.lockDraft && !v.Locked {
		c.traits.lockDraft, v.Locked = false, true
	}
	if v.Locked {
		return nil, nil, locked(s.ID, v.Number)
	}
	c.draft = s
	v.Updated, s.Updated = c.at, c.at
	return s, v, nil
}

// moveActive does what somebody else might: activates another version, made of
// the active one, while a draft is being edited.
func (c *call) moveActive() {
	c.traits.moveActive = false
	base := c.draft.shown()
	c.draft.activate(c.draft.copyVersion(base, c.at), c.at)
	c.changed()
}
