/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plays an Orthanc of any version to the plugin: loads it, initialises it with a context that says so, and prints each
 * service that it asks for and each line that it logs.
 * Usage: versions path/to/libgantry.so VERSION
 */
#include <dlfcn.h>
#include <orthanc/OrthancCPlugin.h>
#include <stdio.h>
#include <stdlib.h>

static OrthancPluginErrorCode service(OrthancPluginContext *context, _OrthancPluginService service, const void *params)
{
    (void)context;
    switch (service) {
    case _OrthancPluginService_LogInfo:
    case _OrthancPluginService_LogWarning:
    case _OrthancPluginService_LogError:
        printf("log %s\n", (const char *)params);
        return OrthancPluginErrorCode_Success;
    case _OrthancPluginService_SetPluginProperty:
        return OrthancPluginErrorCode_Success;
    default:
        printf("service %d\n", (int)service);
        return OrthancPluginErrorCode_NotImplemented;
    }
}

int main(int count, char **arguments)
{
    if (count != 3) return 2;
    void *library = dlopen(arguments[1], RTLD_NOW);
    if (library == NULL) {
        printf("%s\n", dlerror());
        return 2;
    }
    int32_t (*initialize)(OrthancPluginContext *) =
        (int32_t(*)(OrthancPluginContext *))dlsym(library, "OrthancPluginInitialize");
    void (*finalize)(void) = (void (*)(void))dlsym(library, "OrthancPluginFinalize");
    OrthancPluginContext context = {
        .pluginsManager = NULL, .orthancVersion = arguments[2], .Free = free, .InvokeService = service};
    printf("result %d\n", (int)initialize(&context));
    finalize();
    return 0;
}
