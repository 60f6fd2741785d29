"""Writes an applicationHost.config as a full installation has it, with the parts tests vary."""
import dataclasses

from . import server as _server

# section -> is it unlocked for web.config files (overrideModeDefault Allow)
APPLICATION_HOST = ["applicationPools", "configHistory", "customMetadata", "listenerAdapters", "log",
                    "serviceAutoStartProviders", "sites", "webLimits"]
WEB_SERVER = {"asp": False, "caching": True, "cgi": False, "defaultDocument": True, "directoryBrowse": True,
              "fastCgi": False, "globalModules": False, "handlers": False, "httpCompression": True,
              "httpErrors": True, "httpLogging": False, "httpProtocol": True, "httpRedirect": True,
              "httpTracing": False, "isapiFilters": False, "modules": False, "applicationInitialization": True,
              "odbcLogging": False, "serverRuntime": False, "serverSideInclude": False, "staticContent": True,
              "urlCompression": True, "validation": True, "webSocket": False}
SECURITY = {"access": False, "applicationDependencies": False, "authorization": True, "ipSecurity": False,
            "dynamicIpSecurity": False, "isapiCgiRestriction": False, "requestFiltering": True}
AUTHENTICATION = ["anonymousAuthentication", "basicAuthentication", "clientCertificateMappingAuthentication",
                  "digestAuthentication", "iisClientCertificateMappingAuthentication", "windowsAuthentication"]
TRACING = {"traceFailedRequests": True, "traceProviderDefinitions": False}

MODULES = ["HttpLoggingModule", "HttpCacheModule", "DefaultDocumentModule", "DirectoryListingModule",
           "ProtocolSupportModule", "HttpRedirectionModule", "StaticFileModule",
           "AnonymousAuthenticationModule", "RequestFilteringModule", "CustomErrorModule",
           "ConfigurationValidationModule"]
IMAGES = dict(HttpLoggingModule="loghttp", HttpCacheModule="cachhttp", DefaultDocumentModule="defdoc",
              DirectoryListingModule="dirlist", ProtocolSupportModule="protsup",
              HttpRedirectionModule="redirect", StaticFileModule="static",
              AnonymousAuthenticationModule="authanon", RequestFilteringModule="modrqflt",
              CustomErrorModule="custerr", ConfigurationValidationModule="validcfg")
MIME = {".txt": "text/plain", ".htm": "text/html", ".html": "text/html", ".css": "text/css",
        ".js": "application/javascript", ".json": "application/json", ".png": "image/png",
        ".jpg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml", ".xml": "text/xml",
        ".bin": "application/octet-stream", ".zip": "application/x-zip-compressed"}
DEFAULT_DOCUMENTS = ["Default.htm", "Default.asp", "index.htm", "index.html", "iisstart.htm"]
ERROR_CODES = [401, 403, 404, 405, 406, 412, 500, 501, 502]
HANDLERS = """
      <add name="TRACEVerbHandler" path="*" verb="TRACE" modules="ProtocolSupportModule" requireAccess="None" />
      <add name="OPTIONSVerbHandler" path="*" verb="OPTIONS" modules="ProtocolSupportModule" requireAccess="None" />
      <add name="StaticFile" path="*" verb="*" modules="StaticFileModule,DefaultDocumentModule,DirectoryListingModule" resourceType="Either" requireAccess="Read" />"""


def custom_page(status):
    return f"<html><body>custom page for {status}</body></html>\r\n"


@dataclasses.dataclass
class Pool:
    name: str
    attributes: str = ""
    inner: str = ""

    def render(self):
        return f'<add name="{self.name}" {self.attributes}>{self.inner}</add>'


@dataclasses.dataclass
class Site:
    name: str = "Default Web Site"
    id: int = 1
    folder: str = "inetpub/wwwroot"
    host: str = ""
    port: int = 0
    ip: str = "127.0.0.1"
    pool: str = "DefaultAppPool"
    inner: str = ""                       # more children of <site>: limits, logFile ...
    applications: str = ""                # more <application> elements
    root_inner: str = ""                  # more <virtualDirectory> elements of the root application
    bindings: list = dataclasses.field(default_factory=list)
    binding_attributes: str = ""          # of all of them: sslFlags, certificateFile ...
    protocol: str = "http"
    attributes: str = ""
    root_path: str = "/"

    def __post_init__(self):
        if not self.bindings:
            self.port = self.port or _server.free_port()
            self.bindings = [f"{self.ip}:{self.port}:{self.host}"]

    def render(self):
        path = "%SystemDrive%\\" + self.folder.replace("/", "\\")
        bindings = "".join(f'<binding protocol="{self.protocol}" bindingInformation="{b}" {self.binding_attributes}/>' for b in self.bindings)
        return f"""
      <site name="{self.name}" id="{self.id}" {self.attributes}>
        <application path="{self.root_path}" applicationPool="{self.pool}">
          <virtualDirectory path="/" physicalPath="{path}" />{self.root_inner}
        </application>{self.applications}
        <bindings>{bindings}</bindings>{self.inner}
      </site>"""


class AppHost:
    def __init__(self, sites=None, pools=None, web_limits="", pool_defaults="", site_defaults="", log="",
                 locations="", handlers=HANDLERS, modules=MODULES, filtering="", http_errors=None,
                 access_policy="Read, Script", sections="", web_server="", anonymous='enabled="true"',
                 custom_headers="", override_modules="Allow", unlocked=()):
        self.sites = sites or [Site()]
        self.pools = pools or [Pool("DefaultAppPool")]
        self.web_limits = web_limits
        self.pool_defaults = pool_defaults
        self.site_defaults = site_defaults
        self.log = log
        self.locations = locations
        self.handlers = handlers
        self.modules = modules
        self.filtering = filtering
        self.http_errors = http_errors
        self.access_policy = access_policy
        self.sections = sections
        self.web_server = web_server
        self.anonymous = anonymous
        self.custom_headers = custom_headers
        self.override_modules = override_modules
        self.unlocked = set(unlocked)

    def support_files(self):
        files = {f"inetpub/custerr/en-US/{code}.htm": custom_page(code) for code in ERROR_CODES}
        files.update({site.folder: None for site in self.sites})
        return files

    def _sections(self):
        def lines(table, indent):
            return "".join(f'\n{indent}<section name="{name}" overrideModeDefault='
                           f'"{"Allow" if open_ or name in self.unlocked else "Deny"}" />'
                           for name, open_ in table.items())
        return f"""
    <sectionGroup name="system.applicationHost">{"".join(
        f'''
      <section name="{name}" allowDefinition="AppHostOnly" overrideModeDefault="Deny" />'''
        for name in APPLICATION_HOST)}
    </sectionGroup>
    <sectionGroup name="system.webServer">{lines(WEB_SERVER, "      ")}
      <sectionGroup name="security">{lines(SECURITY, "        ")}
        <sectionGroup name="authentication">{lines(dict.fromkeys(AUTHENTICATION, False), "          ")}
        </sectionGroup>
      </sectionGroup>
      <sectionGroup name="tracing">{lines(TRACING, "        ")}
      </sectionGroup>
    </sectionGroup>{self.sections}"""

    def render(self):
        errors = self.http_errors
        if errors is None:
            errors = '<httpErrors lockAttributes="allowAbsolutePathsWhenDelegated,defaultPath">' + "".join(
                f'\n      <error statusCode="{code}" prefixLanguageFilePath="%SystemDrive%\\inetpub\\custerr" '
                f'path="{code}.htm" />' for code in ERROR_CODES) + "\n    </httpErrors>"
        modules = "".join(f'\n      <add name="{m}" lockItem="true" />' for m in self.modules)
        images = "".join(f'\n      <add name="{m}" image="%windir%\\System32\\inetsrv\\{IMAGES[m]}.dll" />'
                         for m in self.modules)
        maps = "".join(f'\n      <mimeMap fileExtension="{e}" mimeType="{t}" />' for e, t in MIME.items())
        documents = "".join(f'\n        <add value="{d}" />' for d in DEFAULT_DOCUMENTS)
        log_folder = r"%SystemDrive%\inetpub\logs\LogFiles"
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <configSections>{self._sections()}
  </configSections>
  <system.applicationHost>
    <applicationPools>
      {"".join(pool.render() for pool in self.pools)}
      <applicationPoolDefaults>{self.pool_defaults}</applicationPoolDefaults>
    </applicationPools>
    <listenerAdapters><add name="http" /></listenerAdapters>
    <log {self.log if self.log.startswith("central") else ""}>
      {"" if self.log.startswith("central") else self.log}
      <centralBinaryLogFile enabled="true" directory="{log_folder}" />
      <centralW3CLogFile enabled="true" directory="{log_folder}" />
    </log>
    <sites>{"".join(site.render() for site in self.sites)}
      <siteDefaults>
        <logFile logFormat="W3C" directory="{log_folder}" />
        {self.site_defaults}
      </siteDefaults>
      <applicationDefaults applicationPool="DefaultAppPool" />
      <virtualDirectoryDefaults allowSubDirConfig="true" />
    </sites>
    <webLimits {self.web_limits} />
  </system.applicationHost>
  <system.webServer>
    <globalModules>{images}
    </globalModules>
    <caching enabled="true" enableKernelCache="true" />
    <defaultDocument enabled="true">
      <files>{documents}
      </files>
    </defaultDocument>
    <directoryBrowse enabled="false" />
    {errors}
    <httpLogging dontLog="false" />
    <httpProtocol>
      <customHeaders><clear />{self.custom_headers}</customHeaders>
      <redirectHeaders><clear /></redirectHeaders>
    </httpProtocol>
    <security>
      <access sslFlags="None" />
      <authentication>
        <anonymousAuthentication {self.anonymous} />
      </authentication>
      <requestFiltering>
        <fileExtensions allowUnlisted="true" applyToWebDAV="true">
          <add fileExtension=".config" allowed="false" />
          <add fileExtension=".cs" allowed="false" />
        </fileExtensions>
        <verbs allowUnlisted="true" applyToWebDAV="true" />
        <hiddenSegments applyToWebDAV="true">
          <add segment="web.config" />
          <add segment="bin" />
          <add segment="App_Data" />
        </hiddenSegments>
        {self.filtering}
      </requestFiltering>
    </security>
    <staticContent lockAttributes="isDocFooterFileName">{maps}
    </staticContent>
    {self.web_server}
  </system.webServer>
  <location path="" overrideMode="{self.override_modules}">
    <system.webServer>
      <modules>{modules}
      </modules>
      <handlers accessPolicy="{self.access_policy}">{self.handlers}
      </handlers>
    </system.webServer>
  </location>
  {self.locations}
</configuration>
"""
