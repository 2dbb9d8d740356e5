import java.util.List;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.IdentityApi;
import org.openapitools.client.api.NhsApi;
import org.openapitools.client.model.IdentifierType;
import org.openapitools.client.model.Login;
import org.openapitools.client.model.PatientView;
import org.openapitools.client.model.Register;
import org.openapitools.client.model.TokenView;
import org.openapitools.client.model.UserView;

/** Makes the contract's five example calls with a generated client. */
public final class Examples {
    private Examples() {}

    public static void main(String[] args) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(args[0]);
        IdentityApi identity = new IdentityApi(client);
        Register nin = new Register()
            .email("test.nin@example.com")
            .password("password123")
            .identifierType(IdentifierType.NIN)
            .identifierValue("AB123456C")
            .phoneNumber("+447123456789");
        identity.apiAuthRegisterRegister(nin);
        identity.apiAuthRegisterRegister(new Register()
            .email("test.nhs@example.com")
            .password("password123")
            .identifierType(IdentifierType.NHS)
            .identifierValue("NHS123456789"));
        TokenView token = identity.apiAuthLoginLogin(
            new Login().email(nin.getEmail()).password(nin.getPassword()));
        client.setRequestInterceptor(
            request -> request.header("Authorization", "Bearer " + token.getAccessToken()));
        UserView profile = new IdentityApi(client).apiAuthProfileProfile();
        List<PatientView> patients = new NhsApi(client).apiNhsPatientsListPatients(null, null);
        System.out.println(profile.getEmail() + " " + patients.size());
    }
}
