package fastlytest

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// sudoLife is how long sudo mode lasts; what the recordings show.
const sudoLife = 5 * time.Minute

// showToken is a token without its value.
func (c *call) showToken(t *Token) object {
	var service any
	if len(t.Services) > 0 {
		service = t.Services[len(t.Services)-1]
	}
	return object{
		"id": t.ID, "name": t.Name, "user_id": c.user(), "customer_id": c.customer(),
		"scope": t.Scope, "scopes": strings.Fields(t.Scope), "services": append([]string{}, t.Services...), "service_id": service,
		"created_at": stamp(t.Created), "last_used_at": stampOrNil(t.Used), "expires_at": stampOrNil(t.Expires),
		"sudo_expires_at": stampOrNil(t.Sudo), "ip": textOrNil(t.IP), "user_agent": textOrNil(t.UserAgent),
	}
}

func (c *call) getSelf() (any, error) { return c.showToken(c.token), nil }

func (c *call) deleteSelf() (any, error) {
	c.account.Tokens = without(c.account.Tokens, c.token)
	return nil, nil
}

func (c *call) listTokens() (any, error) {
	all := []object{}
	for _, t := range c.account.Tokens {
		if !t.Automation {
			all = append(all, c.showToken(t))
		}
	}
	return all, nil
}

// createToken makes a token of the user: no stronger, and with no wider limits,
// than the one that asks.
func (c *call) createToken() (any, error) {
	t := Token{
		Name: c.form.Get("name"), Scope: cmp.Or(c.form.Get("scope"), "global"), Services: c.form["services[]"],
		Role: c.token.Role,
	}
	if err := cmp.Or(room("tokens", len(c.account.Tokens)), c.limit(&t, c.form.Get("expires_at"))); err != nil {
		return nil, err
	}
	added := c.addToken(t)
	o := c.showToken(added)
	for _, name := range []string{"scopes", "last_used_at", "sudo_expires_at", "ip", "user_agent"} {
		delete(o, name)
	}
	o["updated_at"], o["access_token"] = o["created_at"], added.Value
	return o, nil
}

// limit checks scope, services and expiry of a new token.
func (c *call) limit(t *Token, expires string) error {
	for _, scope := range strings.Fields(t.Scope) {
		if !slices.Contains([]string{"global", "global:read", "purge_select", "purge_all"}, scope) {
			return badRequest("Scope '" + scope + "' is invalid")
		}
	}
	if len(t.Services) == 0 {
		t.Services = slices.Clone(c.token.Services)
	}
	for _, id := range t.Services {
		if c.account.service(id) == nil || !c.token.covers(id) {
			return badRequest("Service '" + id + "' is invalid")
		}
	}
	if expires != "" {
		at, err := time.Parse(time.RFC3339, expires)
		if err != nil || !at.After(c.at) {
			return badRequest("Expires at is invalid")
		}
		t.Expires = at
	}
	return nil
}

func (c *call) deleteToken() (any, error) {
	t := c.account.token(c.path("token"))
	if t == nil {
		return nil, notFound("Token", "id", c.path("token"))
	}
	c.account.Tokens = without(c.account.Tokens, t)
	return nil, nil
}

// currentUser answers for the user a token belongs to; automation tokens have
// none.
func (c *call) currentUser() (any, error) {
	if c.token.Automation {
		return nil, unauthorized()
	}
	return object{
		"id": c.user(), "login": c.opt.Login, "name": "Test User", "role": c.token.Role, "customer_id": c.customer(),
		"email_hash": "0d2c8d8d", "limit_services": false, "locked": false, "require_new_password": false,
		"two_factor_auth_enabled": c.opt.OTP != "", "two_factor_setup_required": false,
		"created_at": stamp(c.token.Created), "updated_at": stamp(c.token.Created), "deleted_at": nil,
	}, nil
}

func (c *call) sudo() (any, error) {
	switch {
	case c.traits.sso:
		return nil, refuse(http.StatusForbidden, object{"msg": "You are not authorized to perform this action", "detail": "the account requires single sign-on"})
	case c.token.Automation:
		return nil, unauthorized()
	case c.form.Get("username") != c.opt.Login || c.form.Get("password") != c.opt.Password,
		c.req.Header.Get("Fastly-OTP") != c.opt.OTP:
		return nil, refuse(http.StatusBadRequest, object{"msg": "Bad request", "detail": "Invalid username, password or one-time password"})
	}
	c.token.Sudo = c.at.Add(sudoLife)
	return object{"expiry_time": c.token.Sudo.Format("2006-01-02T15:04:05-07:00")}, nil
}

// createAutomation writes times that are not set as empty strings, as recorded;
// the list writes them as null.
func (c *call) createAutomation() (any, error) {
	t := Token{
		Name: c.text("name"), Scope: cmp.Or(c.text("scope"), "global"), Role: cmp.Or(c.text("role"), "engineer"), Automation: true,
	}
	t.TLSAccess, _ = c.json["tls_access"].(bool)
	services, _ := c.json["services"].([]any)
	for _, id := range services {
		text, _ := id.(string)
		t.Services = append(t.Services, text)
	}
	if err := cmp.Or(room("tokens", len(c.account.Tokens)), c.limit(&t, c.text("expires_at"))); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"billing", "engineer", "user"}, t.Role) {
		return nil, badRequest("Role is invalid")
	}
	added := c.addToken(t)
	expires := ""
	if !t.Expires.IsZero() {
		expires = stamp(t.Expires)
	}
	return object{
		"id": added.ID, "name": t.Name, "role": t.Role, "scope": t.Scope, "services": append([]string{}, t.Services...),
		"access_token": added.Value, "customer_id": c.customer(), "tls_access": t.TLSAccess,
		"created_at": stamp(added.Created), "last_used_at": "", "expires_at": expires, "ip": "", "user_agent": "",
	}, nil
}

// listAutomation shows one page; there is no Link header, and scopes is text
// where other answers have scope.
func (c *call) listAutomation() (any, error) {
	var all []*Token
	for _, t := range c.account.Tokens {
		if t.Automation {
			all = append(all, t)
		}
	}
	per, page := min(c.number("per_page", 100), 100), c.number("page", 1)
	data := []object{}
	for _, t := range paged(all, page, per) {
		o := c.showToken(t)
		for _, name := range []string{"scope", "user_id"} {
			delete(o, name)
		}
		o["scopes"], o["creator_id"], o["access_token"] = t.Scope, c.user(), ""
		o["role"], o["tls_access"], o["services"] = t.Role, t.TLSAccess, t.Services
		data = append(data, o)
	}
	meta := object{"per_page": per, "current_page": page, "record_count": len(all), "total_pages": max((len(all)+per-1)/per, 1)}
	return object{"data": data, "meta": meta}, nil
}

func (c *call) getAutomation() (any, error) {
	t := c.account.token(c.path("token"))
	if t == nil || !t.Automation {
		return nil, notFound("AutomationToken", "id", c.path("token"))
	}
	return object{
		"id": t.ID, "name": t.Name, "role": t.Role, "scope": t.Scope, "services": t.Services, "access_token": "",
		"created_at": stamp(t.Created), "last_used_at": stampOrNil(t.Used), "expires_at": stampOrNil(t.Expires),
		"ip": textOrNil(t.IP), "user_agent": textOrNil(t.UserAgent),
	}, nil
}

// publish takes GRIP items with the token in Authorization.
func (c *call) publish() (any, error) {
	value, ok := strings.CutPrefix(c.req.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, unauthorized()
	}
	t, err := c.tokenOf(value)
	if err != nil {
		return nil, err
	}
	s := c.account.service(c.path("service"))
	switch {
	case s == nil:
		return nil, notFound("Service", "id", c.path("service"))
	case !t.purges(s.ID, c.at):
		return nil, unauthorized()
	case !s.Fanout:
		return nil, badRequest("Fanout is not enabled on this service")
	}
	var body struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(c.raw, &body); err != nil || len(body.Items) == 0 {
		return nil, badRequest("items are missing")
	}
	return c.handOn(s.ID)
}

// handOn gives the items to the Publisher, or keeps them.
func (c *call) handOn(service string) (any, error) {
	if c.publisher == nil {
		if len(c.published) == maxPublished {
			c.published = c.published[1:]
		}
		c.published = append(c.published, Published{service, json.RawMessage(c.raw)})
	} else if err := c.publisher.Publish(context.WithoutCancel(c.req.Context()), service, c.raw); err != nil {
		return nil, badRequest(err.Error())
	}
	a := answer{status: http.StatusOK, header: http.Header{}, body: []byte("Published\n")}
	a.header.Set("Content-Type", "text/plain")
	return a, nil
}
