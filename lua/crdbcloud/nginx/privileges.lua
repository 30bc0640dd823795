--- The parts of crdbcloud.privileges that need no connection; access is given and looked at by a cluster's workflows.

local privileges = require "crdbcloud.privileges"

return { plan = privileges.plan, diff = privileges.diff, describe = privileges.describe }
