-- image.lua - the commands of noun "image": disks that LPARs are deployed from.

local vios <const> = require("vios")
local guest <const> = require("vios.guest_options")
local restricted <const> = require("vios.restricted")

local IMAGE <const> = { name = "image", words = "its name, or a handle", complete = "image" }
local NAME <const> = { name = "name", value = "NAME", words = "what the image is called" }
local POOL <const> = { name = "pool", value = "POOL", complete = "pool",
  words = "the pool, if there are several" }
local VERSION <const> = { name = "version", value = "WORD", words = "its version" }
local ARCHITECTURE <const> = { name = "architecture", value = "WORD",
  words = "its architecture, such as x86_64" }

local function size(bytes)
  return require("vios.printer").size(bytes)
end

local function made(verb)
  return function(result)
    if result.existing then
      return ("image %s is there already, from the same source"):format(result.name)
    end
    return ("image %s %s: %d file%s, %s, in pool %s"):format(result.name, verb, #result.files,
      #result.files == 1 and "" or "s", size(result.size_bytes), result.pool)
  end
end

-- Standard input goes through the daemon into the pool first; a path is the daemon's.
local function import(parameters, context)
  local source <const> = parameters.source
  if source == "-" then
    if not parameters.name then
      return nil, vios.error("usage", "standard input has no name", { hint = "give --name NAME" })
    end
    local sent, err = context.send("daemon.receive", { pool = parameters.pool })
    if not sent then
      return nil, err
    end
    parameters.source = sent.source
  elseif not restricted.on() and not source:match("^%a+://") and source:match("/") then
    local whole <const> = source:match("^/") and source or vios.os.real_path(".") .. "/" .. source
    parameters.source = vios.os.real_path(whole) or whole
  end
  local image, err = context.call("image.import", parameters)
  local is_name <const> = parameters.source == source and not restricted.on()
  if err and err.code == "not_found" and is_name and vios.os.kind("./" .. source) == "file" then
    err.hint = "a name is one in the repository; for the file that is here, give ./" .. source
  end
  return image, err
end

return {
  noun = "image",
  summary = "disks that LPARs are deployed from",
  rows = {
    {
      verb = "discover",
      summary = "find disks, images and guests that could be managed",
      options = { { name = "node", value = "NODE", complete = "node",
        words = "on this node only" } },
      columns = { "kind", "name", "nodes", "size_bytes", "state", "detail" },
      examples = { "image discover", "image discover --node n2" },
    },
    {
      verb = "import",
      summary = "make an image from a disk, archive, folder, URL or standard input",
      run = import,
      restricted = true,
      job = true,
      arguments = { { name = "source", complete = "file", local_file = false,
        words = "a path, a name in the repository, a URL, or - for standard input" } },
      options = { NAME, POOL, VERSION, ARCHITECTURE },
      text = made("imported"),
      examples = {
        "image import /srv/debian12.qcow2", "image import debian12 --version 12.7",
        "image import https://example.org/web.ova --name web",
        "image import - --name web --pool p1",
      },
    },
    {
      verb = "capture",
      summary = "make an image of the disks of a guest, which may run meanwhile",
      job = true,
      arguments = { { name = "lpar", words = "the guest's name", complete = "lpar" } },
      options = { NAME, POOL, VERSION, ARCHITECTURE },
      text = made("captured"),
      examples = { "image capture web1 --name web-golden" },
    },
    {
      verb = "list",
      summary = "list the images",
      columns = { "name", "version", "architecture", "pool", "files", "size_bytes", "dependents",
        "handle", "created" },
      examples = { "image list", "image list --json" },
    },
    {
      verb = "show",
      summary = "show an image, its files and its linked clones",
      arguments = { IMAGE },
      columns = { "name", "handle", "version", "architecture", "pool", "size_bytes", "digest",
        "source", "created", "files", "dependents" },
      nested = {
        files = { "name", "size_bytes", "handle", "digest" },
        dependents = { "lu", "pool", "lpar", "udid" },
      },
      examples = { "image show debian12" },
    },
    {
      verb = "verify",
      summary = "read an image and compare it with its digests",
      job = true,
      arguments = { IMAGE },
      text = function(result)
        return ("image %s is what was imported"):format(result.name)
      end,
      examples = { "image verify debian12" },
    },
    {
      verb = "deploy",
      summary = "make a guest with disks of its own from an image, and start it",
      job = true,
      arguments = { IMAGE, { name = "name", words = "the new guest's name" } },
      options = {
        guest.MEMORY, guest.CPUS, guest.NIC, guest.ACCEL, guest.CPU, guest.AUTOSTART,
        { name = "pool", value = "POOL", complete = "pool",
          words = "the pool of its disks (the image's)" },
        { name = "stopped", words = "do not start it" },
        { name = "node", value = "NODE", complete = "node", words = "there, not here" },
      },
      text = function(result)
        local where <const> = (result.node or "") ~= "" and " on node " .. result.node or ""
        return ("%s deployed%s: %s"):format(result.name, where, result.state)
      end,
      examples = {
        "image deploy debian12 web1 --memory 512M --nic user",
        "image deploy debian12 web2 --memory 1G --cpus 2 --stopped",
      },
    },
    {
      verb = "flatten",
      summary = "give the linked clones of an image blocks of their own",
      job = true,
      arguments = { IMAGE },
      text = function(result)
        return ("image %s: %d clone%s flattened"):format(result.name, result.flattened,
          result.flattened == 1 and "" or "s")
      end,
      examples = { "image flatten debian12" },
    },
    {
      verb = "rename",
      summary = "give an image another name; its handles stay",
      arguments = { IMAGE, { name = "name", words = "the new name" } },
      text = function(result) return "image " .. result.name .. " is its name now" end,
      examples = { "image rename debian12 debian12-old" },
    },
    {
      verb = "remove",
      summary = "delete an image that has no linked clones",
      job = true,
      arguments = { IMAGE },
      confirm = "deletes the image {image} and its files",
      text = function(result)
        return "image " .. result.name .. " removed"
      end,
      examples = { "image remove debian12 --yes" },
    },
  },
}
