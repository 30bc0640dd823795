---@meta crdbcloud.types.results
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.limits_options
---@field timeout? crdbcloud.duration time limit of one attempt; default the account's
---@field deadline? crdbcloud.duration time limit of the call with its retries; default the account's

---@class crdbcloud.paged_options: crdbcloud.limits_options
---@field page? string token of the page, from next_page of the one before
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number list the state of this moment: RFC 3339 text, or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items

---@class crdbcloud.clusters_options: crdbcloud.paged_options
---@field show_inactive? boolean list deleted clusters too; default false
---@field sort_by? "NAME"|"CREATED_AT"|"DELETED_AT" field that sorts the clusters

---@class crdbcloud.rotation_options
---@field verify? "auto"|"require"|false log in after each change: where a login is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the store keeps the old password for a rollback; default "24h"
---@field cancel_sessions? boolean end the sessions that began before the new password was live; default false
---@field allow_admin? boolean rotate an application user too that has become an admin; it is refused otherwise; default false
---@field sinks? string|table where to publish, in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean report what the call would do; send nothing; default false
---@field reason? string why; the record keeps it
---@field on_progress? fun(event: table) called at each step; an event prints as a line

---@class crdbcloud.access_spec an entry of `access`
---@field database string required
---@field schema? string name of the schema
---@field tables? string[]|"*" names of tables, or all
---@field privileges? string[] SELECT, INSERT, UPDATE, DELETE, …; this or preset is required
---@field preset? "readonly"|"readwrite"|"ddl" a set of privileges, in place of `privileges`
---@field sequences? boolean give access to sequences too
---@field future? boolean give access to future tables too; only with tables = "*"
---@field creators? string[] users that make the future tables

---@class crdbcloud.user a SQL user as the API lists it; prints as its name
---@field name string folded

---@class crdbcloud.user_page one page
---@field users crdbcloud.user[]
---@field next_page? string token of the next page

---@class crdbcloud.database a database as the API lists it
---@field name string
---@field table_count? integer

---@class crdbcloud.database_page one page
---@field databases crdbcloud.database[]
---@field next_page? string token of the next page

---@class crdbcloud.cluster_info a cluster as the API describes it; what else the API gives is there too
---@field id string
---@field name string
---@field state string
---@field plan string
---@field cloud_provider string
---@field cockroach_version string
---@field regions table[]

---@class crdbcloud.cluster_page one page
---@field clusters crdbcloud.cluster_info[]
---@field next_page? string token of the next page

---@class crdbcloud.rows rows of a statement; prints as a table
---@field n integer how many
---@field tag? string such as SELECT 2
---@field columns? string[] names in order

---@class crdbcloud.report what became of a workflow; plain data, prints as a table
---@field operation string the workflow
---@field run_id string of this run
---@field cluster string its name
---@field cluster_id? string its id
---@field store string the store's URL
---@field rows crdbcloud.report_row[] one for each user
---@field warnings string[] what to know
---@field seconds number how long it took
---@field exit? integer exit code
---@field dry_run? boolean nothing was sent
---@field unmanaged? integer users without a record
---@field hooks? table commands that ran
---@field window? table how long sinks were behind: users, p50, p99, longest in seconds
---@field made_at? integer of a plan
---@field clusters? table[] of several clusters: name, id, seconds, exit, …
---@field json fun(self: crdbcloud.report): string

---@class crdbcloud.report_row one user of a report
---@field user string
---@field result string done, skipped, untouched, failed, refused, unknown, unpublished, incomplete; of a plan: rotate, …
---@field epoch? integer counts the user's passwords
---@field state? string of its record
---@field sinks string[] where it is published
---@field verified? string what a login said
---@field note? string for people
---@field error? string
---@field kind? crdbcloud.kind
---@field outcome? crdbcloud.outcome
---@field hint? string what to do
---@field exit? integer
---@field cluster? string of several clusters
---@field reason? string finer than kind, such as is_admin
---@field proof? table of the same creation again: existence, admin, login, access, password, sinks; as asked, mended, ? or the finding

---@class crdbcloud.status what the store says of every user; prints as a table
---@field operation string
---@field cluster? string
---@field store? string
---@field rows table[]
---@field open integer users whose change is not finished
---@field warnings? string[]
---@field json fun(self: crdbcloud.status): string

---@class crdbcloud.pairing both sides of a cluster; prints as a table
---@field name string of the cluster
---@field cluster_id string the API's
---@field named table[] addresses that the API names: { host, port }
---@field sql table where the SQL connection goes: host, port, sslmode
---@field server_id? string the server's own
---@field paired? string the server that the store says is this cluster's
---@field paired_by? string host and process that recorded it
---@field proof? string "address" or "pairing": they are one cluster
---@field doubt? string why that is not proven

---@class crdbcloud.history changes, newest last; prints as a table
---@field operation string
---@field cluster string
---@field rows table[]
---@field json fun(self: crdbcloud.history): string

---@class crdbcloud.probe_report what was assumed of the cluster, and what was seen; prints as a table
---@field schema integer of this document: 1
---@field operation string
---@field run_id string
---@field cluster string its name
---@field cluster_id string
---@field store string
---@field dialect crdbcloud.dialect
---@field version string of the SQL server
---@field library string its version
---@field user? string the throwaway user
---@field rows crdbcloud.probe_row[]
---@field unexpected integer assumptions that do not hold
---@field warnings string[]
---@field seconds number
---@field made_at string time in UTC
---@field dry_run? boolean nothing was sent
---@field json fun(self: crdbcloud.probe_report): string

---@class crdbcloud.probe_row one assumption
---@field assumption string its name
---@field what string in words
---@field expected string what holds, parted by |
---@field seen? string ? where nothing could be seen
---@field result string as expected, unexpected; of a dry run: try
---@field detail? string what else was seen
---@field seconds? number until it came true

---@class crdbcloud.access what a user really has; prints as a list
---@field user string
---@field login boolean
---@field admin boolean
---@field admin_via string[]
---@field roles string[]
---@field powers table[] what leads past every grant: privilege, via
---@field grants table[] its own
---@field inherited table[] through roles and everybody, each with via
---@field gives table[] default privileges it gives as a maker
---@field owns table[]
---@field public_create string[]
---@field unknown string[] what this server does not say
---@field json fun(self: crdbcloud.access): string
